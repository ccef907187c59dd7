// Copyright © 2026 The mlx-fork authors
//
// Products with quantized matrices against float64. Where every sum is exact in
// float32, in whatever order it is done, nothing may differ; elsewhere the
// error is bounded by what float32 sums can lose.

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "matrix.h"

namespace kernel_tests {

namespace {

/** Sums of terms, and of the terms' magnitudes, for each result. */
std::vector<double>
multiply(const Matrix& m, const std::vector<double>& w, const Rows& x) {
  int inner = m.inner(), outer = m.outer();
  std::vector<double> sums(x.size() * outer);
  for (size_t r = 0; r < x.size(); ++r) {
    double* sum = sums.data() + r * outer;
    for (int n = 0; n < outer; ++n) {
      for (int i = 0; m.transpose && i < inner; ++i) {
        sum[n] += x[r][i] * w[static_cast<int64_t>(n) * inner + i];
      }
    }
    for (int i = 0; !m.transpose && i < inner; ++i) {
      for (int n = 0; n < outer; ++n) {
        sum[n] += x[r][i] * w[static_cast<int64_t>(i) * outer + n];
      }
    }
  }
  return sums;
}

Rows draw_rows(int tile, const Matrix& m, Draw draw, Random& random) {
  int inner = m.inner();
  bool half = m.x_type == Stored::F16;
  Rows x(tile, std::vector<float>(inner));
  for (int r = 0; r < tile; ++r) {
    for (auto& v : x[r]) {
      v = draw == Draw::Real ? m.x_value(random.signed_unit())
                             : random.between(-4, 4);
      if (draw == Draw::Exact && r == 1) {
        // Too small to be scaled; its sums are as exact.
        v *= half ? 0x1p-24f : 0x1p-140f;
      }
      if (draw == Draw::Exact && r == 3) {
        // Too large for kernels that take float16 for integers.
        v *= 32;
      }
    }
    if (draw == Draw::Real && r == 2) {
      x[r][inner / 2] = m.x_value(half ? 1e4 : 1e-35);
    }
  }
  return x;
}

/**
 * Whatever the order, a term goes through less than `inner` additions of terms,
 * less than `groups` of biases and 8 more of partial sums and products: it is
 * off by at most (1 + u)^k - 1 < k u / (1 - k u) of itself, u = 2^-24. A
 * product that is no normal float32 is off by 2^-150, times 480 if a value
 * meets it.
 */
double bound(const Matrix& m, double magnitude) {
  double ku = (m.inner() + m.groups + 8) * 0x1p-24;
  return ku / (1 - ku) * magnitude + m.inner() * 0x1p-140;
}

void check_case(
    const Matrix& m,
    const Rows& x,
    Draw draw,
    std::deque<Multiplier>& all,
    Checks& checks) {
  auto want = multiply(m, m.values(), x);
  std::vector<double> magnitudes;
  if (draw == Draw::Real) {
    Rows sizes = x;
    for (auto& row : sizes) {
      for (auto& v : row) {
        v = std::abs(v);
      }
    }
    magnitudes = multiply(m, m.magnitudes(), sizes);
  }
  for (auto& kernels : all) {
    checks.begin(
        std::string(kernels.kernels().name) + " qmm " + m.text() + ", " +
        std::to_string(x.size()) + " rows" +
        (draw == Draw::Exact ? ", exact" : ""));
    auto got = kernels.run(m, x, {0, m.outer()});
    std::string wrong = kernels.trespass();
    for (size_t i = 0; i < got.size() && wrong.empty(); ++i) {
      double allowed = draw == Draw::Real ? bound(m, magnitudes[i]) : 0;
      if (!(std::abs(got[i] - want[i]) <= allowed)) {
        char text[120];
        std::snprintf(
            text,
            sizeof(text),
            "result %zu is %.9g, not %.9g +- %.2g",
            i,
            got[i],
            want[i],
            allowed);
        wrong = text;
      }
    }
    checks.expect(wrong);
  }
}

} // namespace

void check_sums(const Tables& tables, Checks& checks) {
  Random random(11);
  auto all = multipliers(tables);
  int tile = 0;
  for (const auto& format : formats) {
    auto check = [&](bool transpose, int groups, int other) {
      for (auto draw : {Draw::Exact, Draw::Real}) {
        int rows = other;
        Matrix m(format, transpose, rows, groups, draw, random);
        tile = tile % 4 + 1;
        auto x = draw_rows(tile, m, draw, random);
        check_case(m, x, draw, all, checks);
      }
    };
    for (bool transpose : {true, false}) {
      for (int groups : {1, 2, 3, 5, 17}) {
        for (int other : {1, 3, 6, 18, 37}) {
          check(transpose, groups, other);
        }
      }
      if (format.group <= 32) {
        // Of more groups fewer rows are converted at once.
        check(transpose, 33, 11);
        check(transpose, 65, 11);
      }
    }
  }
}

void check_places(const Tables& tables, Checks& checks) {
  Random random(3);
  auto all = multipliers(tables);
  for (const auto& format : formats) {
    for (bool transpose : {true, false}) {
      Matrix m(format, transpose, 17, 3, Draw::Powers, random);
      auto values = m.values();
      int inner = m.inner(), outer = m.outer();
      for (auto& kernels : all) {
        checks.begin(
            std::string(kernels.kernels().name) + " places " + m.text());
        std::string wrong;
        for (int first = 0; first < inner && wrong.empty(); first += 4) {
          // Rows of x that take out one value each.
          Rows x(std::min(4, inner - first), std::vector<float>(inner));
          for (size_t r = 0; r < x.size(); ++r) {
            x[r][first + r] = 1.0f;
          }
          auto got = kernels.run(m, x, {0, outer});
          wrong = kernels.trespass();
          for (size_t i = 0; i < got.size() && wrong.empty(); ++i) {
            int k = first + i / outer, n = i % outer;
            double want = values[transpose ? n * inner + k : k * outer + n];
            if (got[i] != want) {
              char text[120];
              std::snprintf(
                  text,
                  sizeof(text),
                  "value %d of result %d is %g, not %g",
                  k,
                  n,
                  got[i],
                  want);
              wrong = text;
            }
          }
        }
        checks.expect(wrong);
      }
    }
  }
}

} // namespace kernel_tests
