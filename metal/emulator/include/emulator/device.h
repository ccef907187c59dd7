// Copyright © 2026 The mlx-fork authors
//
// What a running GPU thread asks of the emulator: SIMD groups, barriers,
// threadgroup memory, function constants. Not Metal's own names for them, which
// are templates over these.

#pragma once

#include <cstddef>
#include <cstdint>

namespace emu {

// A place in a .metal file.
struct Site {
  const char* file;
  int line;

  static constexpr Site here(
      const char* file = __builtin_FILE(),
      int line = __builtin_LINE()) {
    return Site{file, line};
  }
};

// The values that the threads of a SIMD group brought to one operation.
struct SimdTable {
  alignas(16) unsigned char lane[32][16];
  alignas(16) unsigned char result[16];
  uint32_t active; // a bit for each lane that is there
};

// Meets the other threads of the SIMD group. The last to come runs `finish`,
// where there is one; the table is valid until the thread's next call. It is a
// fault when threads of the group come from different places, or don't come.
//
// `op` is the name for reports; `size` is that of the value, at most 16 bytes.
SimdTable& simd_exchange(
    const char* op,
    Site site,
    const void* value,
    uint32_t size,
    void (*finish)(SimdTable&));

// The lane of the running thread.
uint32_t simd_lane();

// The order in which reductions over a SIMD group add.
enum Reduction : uint32_t {
  butterfly_down, // with lane ^ 16, then 8, 4, 2, 1
  butterfly_up, // with lane ^ 1, then 2, 4, 8, 16
  forward, // lane 0 to 31
  backward, // lane 31 to 0
};
Reduction reduction_order();

// Bits of the flags: 1 mem_device, 2 mem_threadgroup, 4 mem_texture,
// 8 mem_threadgroup_imageblock, 16 mem_object_data; none: mem_none.
void threadgroup_barrier(uint32_t flags, Site site);
void simdgroup_barrier(uint32_t flags, Site site);

// Ends the launch with a report.
[[noreturn]] void fault(const char* kind, const char* message, Site site);

// The storage of a threadgroup variable, the same for all threads of a group.
// `id` and `tag` tell variables apart.
void* threadgroup_storage(
    uint32_t id,
    const void* tag,
    const char* name,
    size_t size,
    size_t align);

// The bytes of a function constant, or null where the job sets none.
const void*
function_constant_value(uint32_t index, const char* name, size_t size);
bool function_constant_defined(uint32_t index);

} // namespace emu
