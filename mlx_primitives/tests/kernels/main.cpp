// Copyright © 2026 The mlx-fork authors
//
// The kernels of backend/cpu against float64, without MLX: every kernel that
// this processor can run. The last line says how many checks there were; the
// exit code is 0 if there were any and all held.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "checks.h"

namespace kernel_tests {

namespace {

using namespace mlx::core::fused::cpu;

/** All that this processor can run, the best last. */
Tables find_tables() {
  Tables tables{portable_kernels()};
#if defined(__x86_64__)
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c");
  if (avx2) {
    tables.push_back(avx2_kernels());
  }
  if (avx2 && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    tables.push_back(avx512_kernels());
    if (__builtin_cpu_supports("avx512bf16")) {
      tables.push_back(avx512_bf16_kernels());
    }
  }
#elif defined(__aarch64__)
  tables.push_back(neon_kernels());
#endif
  return tables;
}

} // namespace

/** Those of the classes that this processor can run. */
void check_lanes(const Tables& tables, Checks& checks) {
  const std::pair<const Kernels*, void (*)(Checks&)> classes[] = {
      {portable_kernels(), check_portable_lanes},
      {neon_kernels(), check_neon_lanes},
      {avx2_kernels(), check_avx2_lanes},
      {avx512_kernels(), check_avx512_lanes}};
  for (auto [table, check] : classes) {
    if (table && std::count(tables.begin(), tables.end(), table)) {
      check(checks);
    }
  }
}

void check_choice(const Tables& tables, Checks& checks) {
  checks.begin("choice of kernels");
  setenv("MLX_FUSED_CPU_SIMD", "none", 1);
  std::string said;
  try {
    kernels();
  } catch (const std::invalid_argument& e) {
    said = e.what();
  }
  bool named = said.find("MLX_FUSED_CPU_SIMD") != std::string::npos &&
      said.find("none") != std::string::npos;
  checks.expect(named ? "" : "an unknown name is not refused: " + said);
  unsetenv("MLX_FUSED_CPU_SIMD");
  const char* best = tables.back()->name;
  const char* chosen = kernels().name;
  checks.expect(
      std::strcmp(best, chosen) == 0
          ? ""
          : std::string(chosen) + " is chosen where " + best + " can run");
}

} // namespace kernel_tests

int main() {
  using namespace kernel_tests;
  report_crashes();
  Tables tables = find_tables();
  std::printf("kernels:");
  for (auto table : tables) {
    if (!table) {
      std::printf(" some are missing that this processor can run\n");
      return 1;
    }
    std::printf(" %s", table->name);
  }
  std::printf("\n");
  Checks checks;
  for (auto check :
       {check_choice,
        check_lanes,
        check_conversions,
        check_silu,
        check_weighted_step,
        check_places,
        check_sums,
        check_independence}) {
    check(tables, checks);
  }
  return checks.finish();
}
