// Copyright © 2026 The mlx-fork authors
//
// How metal-cpp sends messages: it casts these to the type of the method,
// receiver and selector first.

#pragma once

#include <objc/runtime.h>

struct objc_object {
  void* isa;
};

extern "C" {
void objc_msgSend();
#if defined(__x86_64__)
// The method returns a structure in memory, whose address comes before the
// receiver.
void objc_msgSend_stret();
// The method returns a floating-point number.
void objc_msgSend_fpret();
#endif
}
