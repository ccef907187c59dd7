// Copyright © 2026 The mlx-fork authors

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "doctest/doctest.h"

#include "mlx/export.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_swiglu.h"
#include "mlx/fused/path.h"
#include "mlx/mlx.h"

using namespace mlx::core;

namespace {

struct Composed {
  Composed() {
    fused::force_composition(true);
  }
  ~Composed() {
    fused::force_composition(false);
  }
};

struct Quantized {
  array w;
  array scales;
  std::optional<array> biases;

  Quantized(
      const Shape& shape,
      Dtype dtype,
      const std::string& mode,
      uint64_t seed)
      : w(0u), scales(0.0f) {
    auto values = random::normal(
        shape, float32, 0.0f, 1.0f, random::key(seed), default_device());
    auto parts = quantize(
        astype(values, dtype, default_device()),
        std::nullopt,
        std::nullopt,
        mode,
        std::nullopt,
        default_device());
    w = parts[0];
    scales = parts[1];
    if (parts.size() > 2) {
      biases = parts[2];
    }
  }
};

// A matrix whose product with (1, 0, ..., 0), 32 long, is `values`.
Quantized constant_rows(const array& values) {
  int n = values.size();
  Quantized q({1, 64}, float32, "affine", 0);
  q.w = zeros({n, 4}, uint32, default_device());
  q.biases = reshape(values, {n, 1}, default_device());
  q.scales = zeros_like(*q.biases, default_device());
  return q;
}

array unit(Dtype dtype) {
  auto first =
      equal(arange(0, 32, default_device()), array(0), default_device());
  return astype(first, dtype, default_device());
}

bool same_bits(const array& a, const array& b) {
  return a.dtype() == b.dtype() &&
      array_equal(a, b, true, default_device()).item<bool>();
}

} // namespace

TEST_CASE("test gather_qmm_swiglu rounds every step") {
  for (auto dtype : {float32, float16, bfloat16}) {
    auto g = astype(
        random::normal(
            {512}, float32, 0.0f, 4.0f, random::key(0), default_device()),
        dtype,
        default_device());
    auto u = astype(
        random::normal(
            {512}, float32, 0.0f, 1.0f, random::key(1), default_device()),
        dtype,
        default_device());
    auto gate = constant_rows(g);
    auto up = constant_rows(u);
    auto out = gather_qmm_swiglu(
        unit(dtype),
        gate.w,
        gate.scales,
        gate.biases,
        up.w,
        up.scales,
        up.biases,
        std::nullopt,
        std::nullopt,
        true,
        32,
        4,
        "affine",
        "silu",
        false,
        default_device());
    CHECK_EQ(out.dtype(), dtype);

    auto round = [&](float v) {
      if (dtype == float16) {
        return static_cast<float>(static_cast<float16_t>(v));
      }
      return dtype == bfloat16 ? static_cast<float>(static_cast<bfloat16_t>(v))
                               : v;
    };
    g = astype(g, float32, default_device());
    u = astype(u, float32, default_device());
    out = astype(out, float32, default_device());
    eval(g, u, out);
    int wrong = 0;
    for (int i = 0; i < 512; ++i) {
      float gi = g.data<float>()[i];
      // The exponential may err by an ulp of float32, on GPUs by 4 as Metal
      // has it; nothing else may.
      int ulps = default_device() == Device::gpu ? 4 : 1;
      float e = std::exp(static_cast<double>(std::abs(gi)));
      for (int j = 0; j < ulps; ++j) {
        e = std::nextafter(e, 0.0f);
      }
      bool found = false;
      for (int j = -ulps; j <= ulps; ++j, e = std::nextafter(e, 2 * e)) {
        float y = round(1.0f / round(1.0f + round(e)));
        float s = gi < 0 ? y : round(1.0f - y);
        float want = round(round(gi * s) * u.data<float>()[i]);
        found |= want == out.data<float>()[i];
      }
      wrong += !found;
    }
    CHECK_EQ(wrong, 0);
  }
}

TEST_CASE("test gather_qmm_swiglu kernel and composition agree") {
  auto s = default_device();
  for (std::string mode : {"affine", "mxfp4", "mxfp8", "nvfp4"}) {
    for (std::string activation : {"silu", "gelu_approx"}) {
      Quantized gate({4, 96, 128}, float32, mode, 0);
      Quantized up({4, 96, 128}, float32, mode, 1);
      auto x =
          random::normal({3, 2, 128}, float32, 0.0f, 0.1f, random::key(2), s);
      auto run = [&](std::optional<array> lhs, std::optional<array> rhs) {
        auto out = gather_qmm_swiglu(
            x,
            gate.w,
            gate.scales,
            gate.biases,
            up.w,
            up.scales,
            up.biases,
            lhs,
            rhs,
            true,
            std::nullopt,
            std::nullopt,
            mode,
            activation,
            false,
            s);
        eval(out);
        return out;
      };
      for (auto& [lhs, rhs] :
           std::vector<std::pair<std::optional<array>, std::optional<array>>>{
               {std::nullopt, array({3, 0, 1})},
               {array({2, 2, -1, 3}), array({0, 4, 1, 1})},
               {array({int64_t{2}, int64_t{1} << 32}), array({3, 3})},
               {array({0, 2}, {2, 1}), array({1, 1, 3})}}) {
        auto kernel = run(lhs, rhs);
        CHECK_NE(
            fused::last_path("gather_qmm_swiglu"), fused::Path::composition);
        Composed composed;
        auto composition = run(lhs, rhs);
        CHECK_EQ(
            fused::last_path("gather_qmm_swiglu"), fused::Path::composition);
        CHECK_EQ(kernel.shape(), composition.shape());
        CHECK(allclose(kernel, composition, 1e-4, 1e-4, true, s).item<bool>());
      }
    }
  }
}

TEST_CASE("test gather_qmm_swiglu composition has the bits of the kernel") {
  // Products without rounding, so that only the steps after them count.
  for (auto dtype : {float32, float16, bfloat16}) {
    auto value = [&](int seed, float size) {
      auto v = random::normal(
          {512}, float32, 0.0f, size, random::key(seed), default_device());
      return astype(v, dtype, default_device());
    };
    auto gate = constant_rows(value(0, 4.0f));
    auto up = constant_rows(value(1, 1.0f));
    auto run = [&]() {
      auto out = gather_qmm_swiglu(
          unit(dtype),
          gate.w,
          gate.scales,
          gate.biases,
          up.w,
          up.scales,
          up.biases,
          std::nullopt,
          std::nullopt,
          true,
          32,
          4,
          "affine",
          "silu",
          false,
          default_device());
      eval(out);
      return out;
    };
    auto kernel = run();
    Composed composed;
    auto composition = run();
    if (dtype == float32) {
      // As far as the two exps agree.
      CHECK(allclose(kernel, composition, 1e-6, 0, false, default_device())
                .item<bool>());
    } else {
      CHECK(same_bits(kernel, composition));
    }
  }
}

TEST_CASE("test gather_qmm_swiglu exports by name and state") {
  Quantized gate({4, 96, 128}, float32, "affine", 0);
  Quantized up({4, 96, 128}, float32, "affine", 1);
  auto x = random::normal({2, 1, 128}, random::key(2), default_device());
  auto fun = [&](std::vector<array> args) -> std::vector<array> {
    return {gather_qmm_swiglu(
        args[0],
        gate.w,
        gate.scales,
        gate.biases,
        up.w,
        up.scales,
        up.biases,
        std::nullopt,
        args[1],
        true,
        64,
        4,
        "affine",
        "gelu_approx",
        true,
        default_device())};
  };
  auto rhs = array({1, 3});
  auto path = std::filesystem::temp_directory_path()
                  .append("gather_qmm_swiglu.mlxfn")
                  .string();
  export_function(path, fun, {x, rhs});
  auto imported = import_function(path)({x, rhs})[0];
  CHECK(same_bits(imported, fun({x, rhs})[0]));
  CHECK_EQ(std::string(fun({x, rhs})[0].primitive().name()), "GatherQMMSwiGLU");
}

TEST_CASE("test gather_qmm_swiglu equivalence tells its parameters apart") {
  Quantized gate({4, 128, 128}, float32, "affine", 0);
  auto x = ones({2, 1, 128}, float32, default_device());
  auto rhs = array({1, 3});
  auto make = [&](bool transpose, const std::string& activation, bool sorted) {
    return gather_qmm_swiglu(
        x,
        gate.w,
        gate.scales,
        gate.biases,
        gate.w,
        gate.scales,
        gate.biases,
        std::nullopt,
        rhs,
        transpose,
        64,
        4,
        "affine",
        activation,
        sorted,
        default_device());
  };
  auto a = make(true, "silu", false);
  CHECK(a.primitive().is_equivalent(make(true, "silu", false).primitive()));
  CHECK_FALSE(
      a.primitive().is_equivalent(make(false, "silu", false).primitive()));
  CHECK_FALSE(a.primitive().is_equivalent(
      make(true, "gelu_approx", false).primitive()));
  CHECK_FALSE(
      a.primitive().is_equivalent(make(true, "silu", true).primitive()));
}

TEST_CASE("test gather_qmm_swiglu refuses what does not fit") {
  Quantized gate({4, 96, 128}, float32, "affine", 0);
  auto x = ones({2, 1, 128}, float32, default_device());
  auto call = [&](const array& x, const std::string& mode) {
    return gather_qmm_swiglu(
        x,
        gate.w,
        gate.scales,
        gate.biases,
        gate.w,
        gate.scales,
        gate.biases,
        std::nullopt,
        array({0, 1}),
        true,
        64,
        4,
        mode,
        "silu",
        false,
        default_device());
  };
  CHECK_NOTHROW(call(x, "affine"));
  CHECK_THROWS_AS(call(x, "int4"), std::invalid_argument);
  CHECK_THROWS_AS(call(x, "mxfp4"), std::invalid_argument);
  CHECK_THROWS_AS(
      call(ones({2, 1, 64}, float32, default_device()), "affine"),
      std::invalid_argument);
}
