// Copyright © 2026 The mlx-fork authors
//
// Counting checks for the emulator's test programs.

#pragma once

#include <cstdio>

namespace check {

inline long passed = 0;
inline long failed = 0;

inline void report(bool ok, const char* file, int line, const char* what) {
  if (ok) {
    ++passed;
    return;
  }
  if (++failed <= 20) {
    std::printf("%s:%d: %s\n", file, line, what);
  }
}

inline int summary(const char* name) {
  std::printf("%s: %ld passed, %ld failed\n", name, passed, failed);
  return failed ? 1 : 0;
}

} // namespace check

#define CHECK(...) \
  ::check::report( \
      static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
