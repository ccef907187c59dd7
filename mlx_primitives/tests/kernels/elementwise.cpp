// Copyright © 2026 The mlx-fork authors
//
// silu and weighted_step against the same operations one by one, in code that
// is compiled so that no product and sum are fused. Bit for bit: silu for one
// of the values within two units in the last place of exp.

#include <cmath>
#include <cstdio>
#include <limits>

#include "checks.h"
#include "guarded.h"
#include "numbers.h"

namespace kernel_tests {

namespace {

using mlx::core::fused::cpu::Rounding;

constexpr int longest_tail = 40;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float largest = std::numeric_limits<float>::max();
constexpr Stored types[] = {Stored::F32, Stored::F16, Stored::BF16};

const char* name_of(Stored type) {
  return type == Stored::F32 ? "f32" : type == Stored::F16 ? "f16" : "bf16";
}

float round_to(Stored type, float v) {
  return type == Stored::F32 ? v : static_cast<float>(rounded(type, v));
}

/** The float32s within two units in the last place of exp(v), v >= 0. */
std::vector<float> exp_within(float v) {
  double exact = std::exp(static_cast<double>(v));
  if (std::isnan(exact) || exact > largest * (1 + 0x1p-20)) {
    return {static_cast<float>(exact)};
  }
  std::vector<float> all{static_cast<float>(exact)};
  for (float towards : {infinity, 0.0f}) {
    float next = all[0];
    for (int i = 0; i < 2; ++i) {
      all.push_back(next = std::nextafter(next, towards));
    }
  }
  return all;
}

/** What silu may store for one pair. */
std::vector<float> silu_results(Stored type, float gate, float up) {
  float g = round_to(type, gate);
  float u = round_to(type, up);
  std::vector<float> results;
  float last = -1.0f;
  for (float exp : exp_within(std::abs(g))) {
    float e = round_to(type, exp);
    if (e == last) {
      continue;
    }
    last = e;
    float d = round_to(type, 1.0f + e);
    float y = round_to(type, 1.0f / d);
    float s = g < 0.0f ? y : round_to(type, 1.0f - y);
    float a = round_to(type, g * s);
    results.push_back(round_to(type, a * u));
  }
  return results;
}

std::string pair_text(const char* of, float a, float b, double got) {
  char text[120];
  std::snprintf(text, sizeof(text), "%s(%a, %a) is %a", of, a, b, got);
  return text;
}

/** A float32 of any size that a model meets, and a few that none should. */
float any_float(Random& random) {
  float special[] = {
      0.0f, -0.0f, infinity, -infinity, nan, largest, -largest, 0x1p-149f};
  if (random.between(0, 63) == 0) {
    return special[random.between(0, 7)];
  }
  return std::ldexp(random.signed_unit(), random.between(-30, 20));
}

void check_silu_pairs(
    Stored type,
    const std::vector<float>& gate,
    const std::vector<float>& up,
    const Tables& tables,
    Checks& checks) {
  int64_t n = gate.size();
  std::vector<std::vector<float>> wanted(n);
  for (int64_t i = 0; i < n; ++i) {
    wanted[i] = silu_results(type, gate[i], up[i]);
  }
  Guarded in1(n * sizeof(float)), in2(n * sizeof(float));
  Guarded out(n * sizeof(float));
  for (auto k : tables) {
    checks.begin(std::string(k->name) + " silu " + name_of(type));
    auto run = [&](int64_t first, int64_t count) {
      auto g = in1.place<float>(count), u = in2.place<float>(count);
      std::copy_n(gate.begin() + first, count, g);
      std::copy_n(up.begin() + first, count, u);
      auto p = out.place<uint8_t>(count * size_of(type));
      k->silu(type, g, u, count, p);
      std::string wrong = out.intact() ? "" : "writes before its results";
      for (int64_t i = 0; i < count && wrong.empty(); ++i) {
        double got = value_of(type, read_code(type, p, i));
        bool right = false;
        for (float want : wanted[first + i]) {
          right |= same(got, want);
        }
        if (!right) {
          wrong = pair_text("silu", gate[first + i], up[first + i], got);
          wrong += ", not " + std::to_string(wanted[first + i][0]);
        }
      }
      checks.expect(wrong);
    };
    run(0, n);
    for (int count = 0; count <= longest_tail; ++count) {
      run(n / 2, count);
    }
  }
}

/** One step for one value, as fused::Accumulate promises it. */
float step(Stored type, Rounding rounding, float y, float weight, float acc) {
  switch (rounding) {
    case Rounding::Fused:
      return std::fma(y, weight, acc);
    case Rounding::Float:
      return acc + y * weight;
    default:
      float w = round_to(type, weight);
      return round_to(type, acc + round_to(type, y * w));
  }
}

void check_steps(
    Stored type,
    Rounding rounding,
    float weight,
    const Tables& tables,
    Checks& checks) {
  constexpr int n = 4000;
  Random random(7);
  std::vector<float> y(n), acc(n), wanted(n);
  for (int i = 0; i < n; ++i) {
    y[i] = any_float(random);
    // Often of a size with the product, where a lost rounding shows.
    acc[i] = i % 2 ? any_float(random) : y[i] * weight * random.signed_unit();
    wanted[i] = step(type, rounding, y[i], weight, acc[i]);
  }
  Guarded in(n * sizeof(float)), sums(n * sizeof(float));
  for (auto k : tables) {
    const char* names[] = {"fused", "float", "storage"};
    checks.begin(
        std::string(k->name) + " weighted_step " + name_of(type) + " " +
        names[static_cast<int>(rounding)]);
    auto run = [&](int first, int count) {
      auto v = in.place<float>(count), a = sums.place<float>(count);
      std::copy_n(y.begin() + first, count, v);
      std::copy_n(acc.begin() + first, count, a);
      k->weighted_step(type, rounding, v, weight, count, a);
      std::string wrong = sums.intact() ? "" : "writes before its results";
      for (int i = 0; i < count && wrong.empty(); ++i) {
        if (!same(a[i], wanted[first + i])) {
          wrong = pair_text("step", y[first + i], acc[first + i], a[i]);
        }
      }
      checks.expect(wrong);
    };
    run(0, n);
    for (int count = 0; count <= longest_tail; ++count) {
      run(n / 2, count);
    }
  }
}

} // namespace

void check_silu(const Tables& tables, Checks& checks) {
  Random random(5);
  for (auto type : types) {
    std::vector<float> gate, up;
    auto pair = [&](float g, float u) {
      gate.push_back(g);
      up.push_back(u);
    };
    if (type == Stored::F32) {
      for (int i = 0; i < 20000; ++i) {
        pair(any_float(random), any_float(random));
        pair(random.signed_unit() * 100.0f, random.signed_unit());
      }
    } else {
      for (uint32_t code = 0; code < 1 << 16; code += 2) {
        // Every value of the type, half of them a little off it.
        double exact = value_of(type, code), next = value_of(type, code + 1);
        pair(exact, any_float(random));
        pair(exact + (next - exact) * 0.75, random.signed_unit());
      }
    }
    for (float g : {0.0f, -0.0f, infinity, -infinity, nan, 1.0f, -1.0f}) {
      for (float u : {0.0f, -0.0f, infinity, -infinity, nan, 1.0f, -1.0f}) {
        pair(g, u);
      }
    }
    check_silu_pairs(type, gate, up, tables, checks);
  }
}

void check_weighted_step(const Tables& tables, Checks& checks) {
  for (auto type : types) {
    for (auto rounding :
         {Rounding::Fused, Rounding::Float, Rounding::Storage}) {
      for (float weight : {0.3f, -1.7f, 1e-3f, infinity}) {
        check_steps(type, rounding, weight, tables, checks);
      }
    }
  }
}

} // namespace kernel_tests
