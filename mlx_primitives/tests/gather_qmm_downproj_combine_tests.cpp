// Copyright © 2026 The mlx-fork authors

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"

#include "mlx/export.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_downproj_combine.h"
#include "mlx/fused/path.h"
#include "mlx/mlx.h"

using namespace mlx::core;

namespace {

const char* accumulates[] =
    {"fma", "no_fma", "exact", "fp32", "fp32_no_fma", "native"};

struct Composed {
  Composed() {
    fused::force_composition(true);
  }
  ~Composed() {
    fused::force_composition(false);
  }
};

array normal(const Shape& shape, Dtype dtype, int seed) {
  return astype(
      random::normal(shape, random::key(seed), default_device()),
      dtype,
      default_device());
}

bool same_bits(const array& a, const array& b) {
  return a.dtype() == b.dtype() &&
      array_equal(a, b, true, default_device()).item<bool>();
}

// The op on products that are p (k, n) exactly.
array combine(const array& p, const array& weights, const std::string& acc) {
  int k = p.shape(0);
  int n = p.shape(1);
  auto first =
      equal(arange(0, 32, default_device()), array(0), default_device());
  auto h = broadcast_to(
      astype(first, p.dtype(), default_device()), {k, 32}, default_device());
  auto biases = reshape(p, {k, n, 1}, default_device());
  auto out = gather_qmm_downproj_combine(
      h,
      zeros({k, n, 4}, uint32, default_device()),
      zeros_like(biases, default_device()),
      biases,
      arange(0, k, default_device()),
      weights,
      true,
      32,
      4,
      "affine",
      acc,
      default_device());
  eval(out);
  return out;
}

float rounded(float v, Dtype dtype) {
  if (dtype == float16) {
    return static_cast<float>(static_cast<float16_t>(v));
  }
  return dtype == bfloat16 ? static_cast<float>(static_cast<bfloat16_t>(v)) : v;
}

} // namespace

TEST_CASE("test gather_qmm_downproj_combine rounds as accumulate says") {
  int k = 8;
  int n = 512;
  for (auto dtype : {float32, float16, bfloat16}) {
    for (auto weights_dtype : {dtype, float32}) {
      auto p = normal({k, n}, dtype, 0);
      auto w = normal({k}, weights_dtype, 1);
      auto pf = astype(p, float32, default_device());
      auto wf = astype(w, float32, default_device());
      eval(pf, wf);
      for (std::string acc :
           {"fma", "no_fma", "exact", "fp32", "fp32_no_fma"}) {
        auto out = combine(p, w, acc);
        bool fp32 = acc[1] == 'p';
        CHECK_EQ(out.dtype(), fp32 ? float32 : dtype);
        out = astype(out, float32, default_device());
        eval(out);
        int wrong = 0;
        for (int i = 0; i < n; ++i) {
          float sum = 0;
          for (int j = 0; j < k; ++j) {
            float y = pf.data<float>()[j * n + i];
            float wj = wf.data<float>()[j];
            // The store keeps product and sum apart.
            volatile float product;
            if (acc == "fma" || acc == "fp32") {
              sum = std::fma(y, wj, sum);
            } else if (acc == "exact") {
              product = rounded(y * rounded(wj, dtype), dtype);
              sum = rounded(sum + product, dtype);
            } else {
              product = y * wj;
              sum = sum + product;
            }
          }
          float want = fp32 ? sum : rounded(sum, dtype);
          wrong += want != out.data<float>()[i];
        }
        CHECK_EQ(wrong, 0);
      }
    }
  }
}

TEST_CASE("test gather_qmm_downproj_combine is not contracted") {
  // (1 + e)(1 - e) rounds to 1; only a fused sum sees e^2.
  float e = std::ldexp(1.0f, -13);
  auto p = concatenate(
      {full({1, 32}, 1.0f, default_device()),
       full({1, 32}, 1.0f + e, default_device())},
      0,
      default_device());
  auto w = array({-1.0f, 1.0f - e});
  for (std::string acc : {"no_fma", "exact", "fp32_no_fma"}) {
    CHECK(all(equal(combine(p, w, acc), array(0.0f), default_device()),
              default_device())
              .item<bool>());
  }
  for (std::string acc : {"fma", "fp32"}) {
    CHECK(all(equal(combine(p, w, acc), array(-e * e), default_device()),
              default_device())
              .item<bool>());
  }
}

TEST_CASE(
    "test gather_qmm_downproj_combine composition has the kernel's bits") {
  for (auto dtype : {float32, float16, bfloat16}) {
    for (auto weights_dtype : {dtype, float32}) {
      auto p = normal({8, 512}, dtype, 2);
      auto w = normal({8}, weights_dtype, 3);
      for (auto acc : accumulates) {
        auto kernel = combine(p, w, acc);
        // On GPUs `native` is the composition by definition.
        CHECK_EQ(
            fused::last_path("gather_qmm_downproj_combine") ==
                fused::Path::composition,
            default_device() == Device::gpu && acc == std::string("native"));
        Composed composed;
        auto composition = combine(p, w, acc);
        CHECK_EQ(
            fused::last_path("gather_qmm_downproj_combine"),
            fused::Path::composition);
        CHECK(same_bits(kernel, composition));
      }
    }
  }
}

TEST_CASE("test gather_qmm_downproj_combine composition checks indices") {
  auto values = normal({4, 64, 128}, float32, 4);
  auto q = quantize(values, 64, 4, "affine", std::nullopt, default_device());
  auto run = [&](const array& indices, const std::string& acc) {
    auto out = gather_qmm_downproj_combine(
        normal({3, 2, 128}, float32, 5),
        q[0],
        q[1],
        q[2],
        indices,
        normal({3, 2}, float32, 6),
        true,
        64,
        4,
        "affine",
        acc,
        default_device());
    eval(out);
    return out;
  };
  for (auto acc : accumulates) {
    for (auto& indices :
         {array({0, 3, 1, 4, 2, 2}, {3, 2}),
          array({0, 3, -1, 2, 2, 2}, {3, 2}),
          array({0l, 3l, 1l, 1l << 32, 2l, 2l}, {3, 2}, int64)}) {
      auto kernel = run(indices, acc);
      Composed composed;
      auto composition = run(indices, acc);
      auto nan = isnan(kernel, default_device());
      CHECK(array_equal(
                nan, isnan(composition, default_device()), default_device())
                .item<bool>());
      CHECK_EQ(sum(nan, default_device()).item<int>(), 64);
      CHECK(allclose(kernel, composition, 1e-4, 1e-4, true, default_device())
                .item<bool>());
    }
  }
}

TEST_CASE("test gather_qmm_downproj_combine exports by name and state") {
  auto q = quantize(
      normal({4, 64, 128}, float32, 4),
      64,
      4,
      "affine",
      std::nullopt,
      default_device());
  auto fun = [&](std::vector<array> args) -> std::vector<array> {
    return {gather_qmm_downproj_combine(
        args[0],
        q[0],
        q[1],
        q[2],
        args[1],
        args[2],
        true,
        64,
        4,
        "affine",
        "fp32",
        default_device())};
  };
  std::vector<array> args{
      normal({3, 2, 128}, float32, 5),
      array({0, 3, 1, 1, 2, 2}, {3, 2}),
      normal({3, 2}, float32, 6)};
  auto path = std::filesystem::temp_directory_path()
                  .append("gather_qmm_downproj_combine.mlxfn")
                  .string();
  export_function(path, fun, args);
  CHECK(same_bits(import_function(path)(args)[0], fun(args)[0]));
}

TEST_CASE("test gather_qmm_downproj_combine refuses what does not fit") {
  auto p = ones({2, 32}, float32, default_device());
  CHECK_NOTHROW(combine(p, array({1.0f, 1.0f}), "exact"));
  CHECK_THROWS_AS(
      combine(p, array({1.0f, 1.0f}), "sum"), std::invalid_argument);
  CHECK_THROWS_AS(
      combine(p, array({1.0f, 1.0f, 1.0f}), "exact"), std::invalid_argument);
  CHECK_THROWS_AS(
      combine(p, array({1.0f, 1.0f}, float16), "exact"), std::invalid_argument);
}
