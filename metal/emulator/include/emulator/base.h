// Copyright © 2026 The mlx-fork authors
//
// What every header of the emulator's Metal library needs: fixed-width types
// at global scope as Metal has them, and how functions are inlined. No Metal
// function lives here.
//
// The library's names are kept apart from the host's: <cmath> and <math.h> are
// not included anywhere, since kernels define functions of their own with those
// names (erf, expm1f, log1p).

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "emulator/device.h"

// Always inlined, since the checked build is compiled at -O1, where clang
// inlines nothing else; without debug information of its own, so that every
// instruction is attributed to the line of the kernel that asked for it.
#define EMU_INLINE __attribute__((always_inline, nodebug)) inline

#ifndef EMU_HALF_EXCESS
#define EMU_HALF_EXCESS 0
#endif

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

namespace emu {

// T where the argument's type is not deduced.
template <typename T>
struct Same {
  typedef T type;
};
template <typename T>
using same_t = typename Same<T>::type;

} // namespace emu

namespace metal {

using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::ptrdiff_t;
using ::size_t;
using ::uchar;
using ::uint;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
using ::ulong;
using ::ushort;

} // namespace metal
