// Copyright © 2026 The mlx-fork authors
//
// What MLX asks of macOS beside Metal.

#include <cstdint>
#include <cstring>

#include <mach/vm_page_size.h>
#include <sys/sysctl.h>

#include "metal/device.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

// MLX's allocator rounds sizes up to pages. Without that, a buffer ends where
// the array does, and an access behind it is one outside the buffer.
EXPORTED const uintptr_t vm_page_size = 1;

EXPORTED int
sysctlbyname(const char* name, void* value, size_t* size, void*, size_t) {
  uint64_t number = emu::host::machine_memory();
  if (strcmp(name, "hw.memsize") != 0 || *size != sizeof(number)) {
    return -1;
  }
  memcpy(value, &number, sizeof(number));
  return 0;
}
