// Copyright © 2026 The mlx-fork authors
//
// Tests of the emulator's Metal types and functions. Run by
// tests/emulator_types.rs, which builds this folder's files for both habits of
// 16-bit arithmetic:
//   clang++ -std=c++17 -O1 -fno-strict-aliasing -DEMU_HALF_EXCESS=0 \
//     -I metal/emulator/include -I metal/emulator/preprocess \
//     metal/emulator/tests/*.cpp -o types

#include "check.h"
#include "tests.h"

int main() {
  test_float16();
  test_expressions();
  test_vectors();
  test_mathematics();
  test_integers();
  return check::summary("types");
}
