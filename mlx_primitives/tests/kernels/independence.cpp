// Copyright © 2026 The mlx-fork authors
//
// What the results of a product do not depend on, bit for bit: the other rows
// of x, where a part of the matrix begins, what was in the scratch, and the
// scales and biases of others.

#include <algorithm>
#include <cmath>
#include <limits>

#include "matrix.h"

namespace kernel_tests {

namespace {

/** One matrix, four rows of x, and their products as all others must be. */
class Case {
 public:
  Case(Multiplier& kernels, const Matrix& m, const Rows& x, Checks& checks)
      : kernels_(kernels), m_(m), x_(x), checks_(checks), outer_(m.outer()) {
    begin("whole");
    base_ = kernels_.run(m_, x_, whole());
    checks_.expect(kernels_.trespass());
  }

  /** The same for a few of the rows, or one, alone. */
  void tiles() {
    begin("fewer rows of x");
    for (auto [first, count] :
         {Part{0, 1}, {1, 1}, {2, 1}, {3, 1}, {0, 2}, {1, 2}, {1, 3}}) {
      Rows some(x_.begin() + first, x_.begin() + first + count);
      compare(kernels_.run(m_, some, whole()), first, whole());
    }
  }

  void nan_in_x() {
    begin("NaN in a row of x");
    for (size_t r = 0; r < x_.size(); ++r) {
      Rows x = x_;
      x[r][m_.inner() - 2] = std::numeric_limits<float>::quiet_NaN();
      expect_only(kernels_.run(m_, x, whole()), [&](size_t row, int) {
        return row == r;
      });
    }
  }

  void scratch() {
    begin("what was in the scratch");
    for (int fill : {0, 0x3f}) {
      compare(kernels_.run(m_, x_, whole(), fill), 0, whole());
    }
  }

  void parts() {
    begin("a part of the matrix");
    int step = kernels_.step(m_);
    for (Part part :
         {Part{0, step},
          Part{step, std::min(2 * step, outer_ - step)},
          Part{step, outer_ - step},
          Part{(outer_ - 1) / step * step, 0}}) {
      if (part.count == 0) {
        part.count = outer_ - part.begin;
      }
      compare(kernels_.run(m_, x_, part), 0, part);
    }
  }

  void poisoned_groups() {
    if (m_.type == Stored::E4M3) {
      return; // It has neither NaN nor infinity.
    }
    begin("the scales and biases of others");
    int last = m_.rows - 1, last_group = m_.groups - 1;
    for (auto [row, group] :
         {std::pair{0, 0}, {last, last_group}, {15, last_group}, {16, 0}}) {
      Matrix bad = m_;
      for (auto* all : {&bad.scales, &bad.biases}) {
        if (!all->empty()) {
          auto p = all->data() + row * m_.scales_stride;
          write_code(m_.type, p, group, ~0u);
        }
      }
      auto got = kernels_.run(bad, x_, whole());
      expect_only(got, [&](size_t, int n) {
        return m_.transpose ? n == row : n / m_.format.group == group;
      });
    }
  }

 private:
  Part whole() const {
    return {0, outer_};
  }

  void begin(const char* what) {
    checks_.begin(
        std::string(kernels_.kernels().name) + " " + what + ": " + m_.text());
  }

  /** Results of rows of x from `first` on, for a part of the matrix. */
  void compare(const std::vector<float>& got, int first, const Part& part) {
    std::string wrong = kernels_.trespass();
    for (size_t i = 0; i < got.size() && wrong.empty(); ++i) {
      size_t row = first + i / part.count, n = part.begin + i % part.count;
      float want = base_[row * outer_ + n];
      if (!same(got[i], want)) {
        wrong = "result " + std::to_string(n) + " of row " +
            std::to_string(row) + " is another";
      }
    }
    checks_.expect(wrong);
  }

  /** Those that `spoiled` names are not finite; the others are as ever. */
  template <typename F>
  void expect_only(const std::vector<float>& got, F&& spoiled) {
    std::string wrong = kernels_.trespass();
    for (size_t i = 0; i < got.size() && wrong.empty(); ++i) {
      bool right = spoiled(i / outer_, i % outer_) ? !std::isfinite(got[i])
                                                   : same(got[i], base_[i]);
      if (!right) {
        wrong = "result " + std::to_string(i % outer_) + " of row " +
            std::to_string(i / outer_) + " is " + std::to_string(got[i]);
      }
    }
    checks_.expect(wrong);
  }

  Multiplier& kernels_;
  const Matrix& m_;
  const Rows& x_;
  Checks& checks_;
  int outer_;
  std::vector<float> base_;
};

} // namespace

void check_independence(const Tables& tables, Checks& checks) {
  Random random(13);
  auto all = multipliers(tables);
  auto check = [&](const Format& format, bool transpose, Stored x_type) {
    // Rows in several batches; columns in more than one block of any kernel.
    int groups = transpose ? 5 : format.group == 16 ? 35 : 17;
    Matrix m(format, transpose, 37, groups, Draw::Real, random);
    m.x_type = x_type;
    Rows x(4, std::vector<float>(m.inner()));
    for (auto& row : x) {
      std::generate(row.begin(), row.end(), [&] {
        return m.x_value(random.signed_unit());
      });
    }
    // A row that goes another way than the others.
    x[1][0] = m.x_value(x_type == Stored::F16 ? 1e4 : 1e-35);
    for (auto& kernels : all) {
      Case one(kernels, m, x, checks);
      one.tiles();
      one.nan_in_x();
      one.scratch();
      one.parts();
      one.poisoned_groups();
    }
  };
  for (const auto& format : formats) {
    check(format, false, Stored::F32);
    check(format, true, Stored::F32);
    if (format.bits == 4) {
      // Some processors have kernels of their own for these.
      check(format, true, Stored::BF16);
      check(format, true, Stored::F16);
    }
  }
}

} // namespace kernel_tests
