// Copyright © 2026 The mlx-fork authors
//
// Counting of checks, and the closing line that `cargo xtask test` reads.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mlx/fused/backend/cpu/kernels.h"

namespace kernel_tests {

using mlx::core::fused::cpu::Kernels;

/** The kernels that this processor can run. */
using Tables = std::vector<const Kernels*>;

class Checks {
 public:
  /** Says what is examined from now on, for what fails or crashes in it. */
  void begin(std::string what);

  /** One check: `wrong` is empty if it holds, else says how it does not. */
  void expect(const std::string& wrong);

  /** Prints the closing line; the exit code. */
  int finish() const;

 private:
  int checks_{0};
  int failed_{0};
};

/** Makes a signal of wrong memory use name what is examined. */
void report_crashes();

/** The sequence of numbers that every machine draws the same. */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next();

  /** One of first, ..., last. */
  int between(int first, int last);

  /** From -1 to 1, in steps of 2^-23. */
  float signed_unit();

 private:
  uint64_t state_;
};

/** The operations of the classes that kernels are made of. */
void check_portable_lanes(Checks& checks);
void check_neon_lanes(Checks& checks);
void check_avx2_lanes(Checks& checks);
void check_avx512_lanes(Checks& checks);

void check_choice(const Tables& tables, Checks& checks);
void check_conversions(const Tables& tables, Checks& checks);
void check_silu(const Tables& tables, Checks& checks);
void check_weighted_step(const Tables& tables, Checks& checks);
void check_places(const Tables& tables, Checks& checks);
void check_sums(const Tables& tables, Checks& checks);
void check_independence(const Tables& tables, Checks& checks);

} // namespace kernel_tests
