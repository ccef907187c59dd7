// Copyright © 2026 The mlx-fork authors
//
// How a translated kernel is entered: what each parameter is bound to, and the
// table of kernels that a library exports. Not the kernels' own types.

#pragma once

#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "emulator/device.h"

namespace emu {

struct Uint3 {
  uint32_t x;
  uint32_t y;
  uint32_t z;
};

// One GPU thread: its attributes, named as in Metal, and its bindings.
struct Thread {
  Uint3 thread_position_in_grid;
  Uint3 thread_position_in_threadgroup;
  Uint3 threadgroup_position_in_grid;
  Uint3 threads_per_grid;
  Uint3 threads_per_threadgroup;
  Uint3 dispatch_threads_per_threadgroup;
  Uint3 threadgroups_per_grid;
  Uint3 grid_origin;
  Uint3 grid_size;
  uint32_t thread_index_in_threadgroup;
  uint32_t thread_index_in_simdgroup;
  uint32_t simdgroup_index_in_threadgroup;
  uint32_t simdgroups_per_threadgroup;
  uint32_t dispatch_simdgroups_per_threadgroup;
  uint32_t threads_per_simdgroup;
  uint32_t thread_execution_width;
  uint32_t thread_index_in_quadgroup;
  uint32_t quadgroup_index_in_threadgroup;
  uint32_t quadgroups_per_threadgroup;
  uint32_t dispatch_quadgroups_per_threadgroup;
  void* const* buffers; // by index, null where nothing is bound
  void* const* threadgroup_arguments; // by index
  bool reads_absent; // what a function constant leaves out reads as zero
};

enum class Kind : uint32_t { buffer, threadgroup };
enum class Space : uint32_t { device, constant, threadgroup };

// A kernel's parameter that the host binds.
struct Argument {
  Kind kind;
  uint32_t index;
  const char* name;
  Space space;
  bool is_const;
  bool is_reference;
  size_t size; // of what it points to
  size_t align;
  const char* type; // text that has the type's name in it
  bool is_optional; // depends on a function constant
};

struct Kernel {
  const char* name;
  void (*entry)(const Thread&);
  const Argument* arguments;
  uint32_t argument_count;
  uint32_t max_total_threads_per_threadgroup; // 0: not declared
};

template <typename F>
struct Signature;

template <typename R, typename... Ps>
struct Signature<R (*)(Ps...)> {
  template <size_t i>
  using arg = std::tuple_element_t<i, std::tuple<Ps...>>;
};

template <typename P>
P bind(void* at) {
  if constexpr (std::is_reference_v<P>) {
    return *static_cast<std::remove_reference_t<P>*>(at);
  } else {
    static_assert(
        std::is_pointer_v<std::remove_cv_t<P>>,
        "a buffer is a pointer or a reference");
    return static_cast<std::remove_cv_t<P>>(at);
  }
}

template <typename P>
P buffer(const Thread& thread, uint32_t index) {
  return bind<P>(thread.buffers[index]);
}

// What a function constant leaves out. It can't be written.
alignas(64) inline constexpr unsigned char absent[4096] = {};

// Of a buffer that is there when a function constant says so. A reference
// to nothing is never read where the constant is false.
template <typename P>
P buffer_if(const Thread& thread, uint32_t index, bool there) {
  if (there) {
    return buffer<P>(thread, index);
  }
  bool readable = std::is_reference_v<P> || thread.reads_absent;
  return bind<P>(readable ? const_cast<unsigned char*>(absent) : nullptr);
}

template <typename P>
P threadgroup_argument(const Thread& thread, uint32_t index) {
  return bind<P>(thread.threadgroup_arguments[index]);
}

template <typename P>
std::remove_cv_t<P> attribute(Uint3 value) {
  using T = std::remove_cv_t<P>;
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<T>(value.x);
  } else if constexpr (
      std::is_constructible_v<T, uint32_t, uint32_t, uint32_t>) {
    return T(value.x, value.y, value.z);
  } else {
    return T(value.x, value.y);
  }
}

template <typename P>
std::remove_cv_t<P> attribute(uint32_t value) {
  return static_cast<std::remove_cv_t<P>>(value);
}

template <typename P>
Argument describe(
    Kind kind,
    uint32_t index,
    const char* name,
    Space space,
    bool is_optional = false) {
  using T = std::remove_pointer_t<std::remove_reference_t<P>>;
  Argument argument{};
  argument.kind = kind;
  argument.index = index;
  argument.name = name;
  argument.space = space;
  argument.is_const = std::is_const_v<T>;
  argument.is_reference = std::is_reference_v<P>;
  argument.type = __PRETTY_FUNCTION__;
  argument.is_optional = is_optional;
  if constexpr (!std::is_void_v<T>) {
    argument.size = sizeof(T);
    argument.align = alignof(T);
  }
  return argument;
}

template <typename T>
inline char threadgroup_tag;

// A threadgroup variable of type T, an array mostly.
template <typename T>
T& threadgroup_memory(uint32_t id, const char* name) {
  return *static_cast<T*>(threadgroup_storage(
      id, &threadgroup_tag<T>, name, sizeof(T), alignof(T)));
}

// Pure, so that a constant which nothing reads is left out of the library:
// the tool tells by its symbol whether the kernel needs a value of it.
template <typename T>
__attribute__((pure)) T function_constant(uint32_t index, const char* name) {
  T value{};
  if (const void* bytes = function_constant_value(index, name, sizeof(T))) {
    std::memcpy(&value, bytes, sizeof(T));
  }
  return value;
}

} // namespace emu
