// Copyright © 2026 The mlx-fork authors
//
// What instrumented code calls: clang's interface for ThreadSanitizer (accesses
// and copies of memory; atomics.cpp has the atomic operations) and for its
// checks of array bounds. The sanitizers' own runtimes are not linked.

#include <cstring>
#include <utility>

#include "access.h"
#include "blocks.h"
#include "group.h"
#include "library.h"

#define EMU_PC __builtin_return_address(0)
#define EMU_EXPORT extern "C" __attribute__((visibility("default")))

using emu::Access;
using emu::on_access;

#define EMU_ACCESSES(bytes)                                      \
  EMU_EXPORT void __tsan_read##bytes(void* at) {                 \
    on_access(at, bytes, Access::read, bytes, EMU_PC);           \
  }                                                              \
  EMU_EXPORT void __tsan_write##bytes(void* at) {                \
    on_access(at, bytes, Access::write, bytes, EMU_PC);          \
  }                                                              \
  EMU_EXPORT void __tsan_read_write##bytes(void* at) {           \
    on_access(at, bytes, Access::read, bytes, EMU_PC);           \
    on_access(at, bytes, Access::write, bytes, EMU_PC);          \
  }                                                              \
  EMU_EXPORT void __tsan_unaligned_read##bytes(void* at) {       \
    on_access(at, bytes, Access::read, 1, EMU_PC);               \
  }                                                              \
  EMU_EXPORT void __tsan_unaligned_write##bytes(void* at) {      \
    on_access(at, bytes, Access::write, 1, EMU_PC);              \
  }                                                              \
  EMU_EXPORT void __tsan_unaligned_read_write##bytes(void* at) { \
    on_access(at, bytes, Access::read, 1, EMU_PC);               \
    on_access(at, bytes, Access::write, 1, EMU_PC);              \
  }

EMU_ACCESSES(1)
EMU_ACCESSES(2)
EMU_ACCESSES(4)
EMU_ACCESSES(8)
EMU_ACCESSES(16)

EMU_EXPORT void __tsan_init() {
  emu::mark_library_checked();
}
EMU_EXPORT void __tsan_func_entry(void*) {}
EMU_EXPORT void __tsan_func_exit() {}
EMU_EXPORT void __tsan_vptr_read(void**) {}
EMU_EXPORT void __tsan_vptr_update(void**, void*) {}
EMU_EXPORT void __tsan_read_range(void* at, unsigned long size) {
  on_access(at, uint32_t(size), Access::read, 1, EMU_PC);
}
EMU_EXPORT void __tsan_write_range(void* at, unsigned long size) {
  on_access(at, uint32_t(size), Access::write, 1, EMU_PC);
}

namespace {

void* copy(void* to, const void* from, size_t size, const void* pc) {
  if (size > 0) {
    on_access(from, uint32_t(size), Access::read, 1, pc);
    on_access(to, uint32_t(size), Access::write, 1, pc);
  }
  return memmove(to, from, size);
}

void* fill(void* to, int value, size_t size, const void* pc) {
  if (size > 0) {
    on_access(to, uint32_t(size), Access::write, 1, pc);
  }
  return memset(to, value, size);
}

} // namespace

// Older compilers call these by their plain names: the linker renames them.
EMU_EXPORT void* __wrap_memcpy(void* to, const void* from, size_t size) {
  return copy(to, from, size, EMU_PC);
}
EMU_EXPORT void* __wrap_memmove(void* to, const void* from, size_t size) {
  return copy(to, from, size, EMU_PC);
}
EMU_EXPORT void* __wrap_memset(void* to, int value, size_t size) {
  return fill(to, value, size, EMU_PC);
}
EMU_EXPORT void* __tsan_memcpy(void* to, const void* from, size_t size) {
  return copy(to, from, size, EMU_PC);
}
EMU_EXPORT void* __tsan_memmove(void* to, const void* from, size_t size) {
  return copy(to, from, size, EMU_PC);
}
EMU_EXPORT void* __tsan_memset(void* to, int value, size_t size) {
  return fill(to, value, size, EMU_PC);
}

// How often each block of instructions ran.
EMU_EXPORT void __sanitizer_cov_trace_pc() {
  emu::count_block(EMU_PC);
}

// The index of an array of known size is outside of it.
struct SourceLocation {
  const char* file;
  uint32_t line;
  uint32_t column;
};

EMU_EXPORT void __ubsan_handle_out_of_bounds(
    const SourceLocation* location,
    uintptr_t index) {
  auto* worker = emu::Worker::current();
  if (!worker) {
    return;
  }
  auto fault = worker->fault_here(
      "bounds",
      "uses index " + std::to_string(intptr_t(index)) +
          " of an array that has no such element");
  fault.file = location->file;
  fault.line = int(location->line);
  worker->stop(std::move(fault));
}
EMU_EXPORT void __ubsan_handle_out_of_bounds_abort(
    const SourceLocation* location,
    uintptr_t index) {
  __ubsan_handle_out_of_bounds(location, index);
}
