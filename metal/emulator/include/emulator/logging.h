// Copyright © 2026 The mlx-fork authors
//
// <metal_logging>: messages are dropped; a kernel's result doesn't depend on
// them.

#pragma once

#include "emulator/base.h"

namespace metal {

enum log_type : int {
  log_type_default,
  log_type_info,
  log_type_debug,
  log_type_error,
  log_type_fault,
};

struct os_log {
  os_log() = default;
  EMU_INLINE constexpr os_log(const char*, const char*) {}

  template <typename... T>
  EMU_INLINE void log(const char*, const T&...) const {}
  template <typename... T>
  EMU_INLINE void log_info(const char*, const T&...) const {}
  template <typename... T>
  EMU_INLINE void log_debug(const char*, const T&...) const {}
  template <typename... T>
  EMU_INLINE void log_error(const char*, const T&...) const {}
  template <typename... T>
  EMU_INLINE void log_fault(const char*, const T&...) const {}
  template <typename... T>
  EMU_INLINE void log_with_type(log_type, const char*, const T&...) const {}
};

constexpr os_log os_log_default{};

} // namespace metal
