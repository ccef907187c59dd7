// Copyright © 2026 The mlx-fork authors
//
// Structures and constants that Metal's methods take, of the layout that
// metal-cpp gives them.

#pragma once

#include <cstdint>

namespace emu::host {

struct Size {
  uint64_t width;
  uint64_t height;
  uint64_t depth;

  uint64_t count() const {
    return width * height * depth;
  }
};

// MTLDataType: those that a function constant can have.
enum class DataType : uint64_t {
  float32 = 3,
  float16 = 16,
  int32 = 29,
  uint32 = 33,
  int16 = 37,
  uint16 = 41,
  int8 = 45,
  uint8 = 49,
  boolean = 53,
  int64 = 81,
  uint64 = 85,
  bfloat16 = 121,
};

// MTLCommandBufferStatus.
enum class Status : uint64_t {
  not_enqueued = 0,
  enqueued = 1,
  committed = 2,
  scheduled = 3,
  completed = 4,
  error = 5,
};

// What Apple's GPUs take.
constexpr uint64_t most_buffers = 31;
constexpr uint64_t most_bytes = 4096; // of setBytes
constexpr uint64_t most_threads = 1024; // of a threadgroup
constexpr uint64_t most_threadgroup_memory = 32768; // bytes

} // namespace emu::host
