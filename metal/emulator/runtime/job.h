// Copyright © 2026 The mlx-fork authors
//
// The job: what to launch and how, as the tool wrote it down. A line an item,
// fields separated by one space, names percent-encoded; see docs/emulator.md.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "emulator/launch.h"

namespace emu {

struct BufferJob {
  uint32_t index;
  bool writable;
  uint64_t size; // bytes
  std::string path; // of a file with the contents; empty: uninitialised
  std::string name;
  std::string bytes; // the contents, where they came with the job
  std::string output; // where the contents go after the run
  uint64_t offset = 0; // bytes from the start to what the kernel is given
};

enum class Schedule { random, forward, reverse };

struct Job {
  std::string library;
  std::string kernel;
  std::vector<BufferJob> buffers;
  std::map<uint32_t, uint64_t> threadgroup; // bytes by index
  std::map<uint32_t, std::string> constants; // bytes by index
  Uint3 threads{0, 0, 0}; // of the grid
  Uint3 groups{0, 0, 0};
  Uint3 group{1, 1, 1}; // threads of a threadgroup
  uint64_t seed = 0;
  Schedule schedule = Schedule::random;
  Reduction reduction = butterfly_down;
  bool flush = false; // subnormal float32 to zero
  // No faults: threads that returned are inactive in SIMD functions, what a
  // function constant leaves out reads as zero, and some threads may skip a
  // barrier that orders no memory.
  bool forgiving = false;
  uint32_t workers = 1;
  uint32_t coalescing = 0; // SIMD groups whose accesses are logged
  std::string report;

  uint32_t threads_in_group() const {
    return group.x * group.y * group.z;
  }
  uint64_t group_count() const {
    return uint64_t(groups.x) * groups.y * groups.z;
  }
};

// Ends the program with a message when the file is not a job.
Job read_job(const char* path);

// Ends the program: the job can't be run.
[[noreturn]] void bad_job(const std::string& message);

} // namespace emu
