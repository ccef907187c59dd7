// Copyright © 2026 The mlx-fork authors
//
// What a launch came to, collected while it runs and written as JSON.

#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "emulator/launch.h"

namespace emu {

constexpr int64_t no_offset = -1;

struct Fault {
  std::string kind;
  std::string message;
  const void* pc = nullptr; // in the kernel's library
  const void* other_pc = nullptr; // of the access that it races with
  const char* file = nullptr;
  int line = 0;
  bool has_thread = false;
  Uint3 thread{0, 0, 0};
  Uint3 threadgroup{0, 0, 0};
  uint32_t lane = 0;
  std::string buffer;
  bool has_offset = false;
  int64_t offset = 0; // bytes from the buffer's start
};

class Memory;
struct Job;

// A SIMD group's accesses by one instruction, as hardware would merge them.
struct LoadSummary {
  const void* pc = nullptr;
  std::string buffer;
  bool write = false;
  uint64_t accesses = 0; // of SIMD groups
  uint64_t thread_bytes = 0; // in all
  uint64_t distinct_bytes = 0;
  uint64_t lines = 0; // of 128 bytes
  uint64_t threads = 0;
};

class Report {
 public:
  // Notes a fault; the same kind at the same place is noted once. Returns false
  // when there are so many that the launch should end.
  bool note(Fault fault);

  bool checked = false; // the kernel's accesses are seen
  bool complete = true; // the launch was not ended by a fault
  double seconds = 0;
  uint64_t barriers = 0;
  uint64_t simd_operations = 0;
  std::vector<LoadSummary> loads;

  void write(
      const Job& job,
      const Kernel* kernel,
      Memory& memory,
      uint64_t threadgroup_read,
      uint64_t threadgroup_written,
      const std::map<const void*, uint64_t>& blocks) const;

 private:
  using Place = std::tuple<std::string, const void*, const void*, int>;
  mutable std::mutex mutex_;
  std::vector<Fault> faults_;
  std::set<Place> seen_;
  uint64_t in_all_ = 0;
};

} // namespace emu
