// Copyright © 2026 The mlx-fork authors
//
// Where buffers and threadgroup memory lie: far apart in one reserved range of
// addresses, so that an address tells what it belongs to, however wrong it is.
// Not what may be done there: access.cpp judges that.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "job.h"

namespace emu {

// One bit a byte of a region, made when first used.
class Bits {
 public:
  bool empty() const {
    return words_.empty();
  }
  void reset(uint64_t bits);
  // Sets `size` bits from `at` and counts those that were not.
  uint32_t set(uint64_t at, uint32_t size);
  // The first of `size` bits from `at` that is not set; `size` when all are.
  uint32_t first_unset(uint64_t at, uint32_t size) const;
  uint64_t count() const;

 private:
  std::vector<uint64_t> words_;
};

class Shadow;

// A buffer or a threadgroup variable.
struct Region {
  std::string name;
  uint32_t index = 0; // of the binding
  bool threadgroup = false;
  bool writable = true;
  bool initialised = true; // else `written` tells which bytes are
  unsigned char* base = nullptr;
  uint64_t size = 0;
  std::string output; // where a buffer's contents go
  uint64_t offset = 0; // of what the kernel is given, in bytes

  // Filled in by checked builds.
  uint64_t read = 0;
  uint64_t distinct_read = 0;
  uint64_t wrote = 0;
  uint64_t distinct_written = 0;
  Bits seen;
  Bits written;
  Shadow* shadow = nullptr;
};

struct ThreadgroupVariable {
  uint32_t id;
  const void* tag;
  size_t region;
};

class Memory {
 public:
  static constexpr uint32_t slots = 32; // the last: threadgroup memory
  static constexpr uint32_t largest_threadgroup_memory = 32768;
  static constexpr uint32_t most_workers = 32;

  // Reserves the addresses and places the job's buffers.
  explicit Memory(const Job& job);

  // The region that the address belongs to, or is nearest to: null outside of
  // all that this manages.
  Region* owner(const void* address);

  Region* buffer(uint32_t index) {
    return buffers_[index].base ? &buffers_[index] : nullptr;
  }

  // The variables of a worker's threadgroup.
  std::vector<Region>& variables(uint32_t worker) {
    return variables_[worker];
  }
  Region& add_variable(uint32_t worker, const char* name, size_t size);

  // Fills a variable with what no program should read.
  static void poison(Region& region);

 private:
  unsigned char* base_;
  Region buffers_[slots];
  std::vector<std::vector<Region>> variables_;
};

} // namespace emu
