// Copyright © 2026 The mlx-fork authors
//
// <metal_compute>: barriers and the kinds of memory they order.

#pragma once

#include "emulator/base.h"

namespace metal {

enum class mem_flags : uint32_t {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
  mem_texture = 4,
  mem_threadgroup_imageblock = 8,
  mem_object_data = 16,
};

EMU_INLINE constexpr mem_flags operator|(mem_flags a, mem_flags b) {
  return static_cast<mem_flags>(
      static_cast<uint32_t>(a) | static_cast<uint32_t>(b));
}

EMU_INLINE constexpr mem_flags operator&(mem_flags a, mem_flags b) {
  return static_cast<mem_flags>(
      static_cast<uint32_t>(a) & static_cast<uint32_t>(b));
}

enum memory_order : int {
  memory_order_relaxed = __ATOMIC_RELAXED,
  memory_order_acquire = __ATOMIC_ACQUIRE,
  memory_order_release = __ATOMIC_RELEASE,
  memory_order_acq_rel = __ATOMIC_ACQ_REL,
  memory_order_seq_cst = __ATOMIC_SEQ_CST,
};

enum thread_scope : int {
  thread_scope_thread = 0,
  thread_scope_threadgroup = 1,
  thread_scope_device = 2,
  thread_scope_simdgroup = 4,
};

enum memory_scope : int {
  memory_scope_threadgroup = 1,
  memory_scope_device = 2,
  memory_scope_simdgroup = 4,
};

EMU_INLINE void threadgroup_barrier(
    mem_flags flags,
    emu::Site site = emu::Site::here()) {
  emu::threadgroup_barrier(static_cast<uint32_t>(flags), site);
}

EMU_INLINE void threadgroup_barrier(
    mem_flags flags,
    memory_scope,
    emu::Site site = emu::Site::here()) {
  emu::threadgroup_barrier(static_cast<uint32_t>(flags), site);
}

EMU_INLINE void simdgroup_barrier(
    mem_flags flags,
    emu::Site site = emu::Site::here()) {
  emu::simdgroup_barrier(static_cast<uint32_t>(flags), site);
}

EMU_INLINE void simdgroup_barrier(
    mem_flags flags,
    memory_scope,
    emu::Site site = emu::Site::here()) {
  emu::simdgroup_barrier(static_cast<uint32_t>(flags), site);
}

} // namespace metal
