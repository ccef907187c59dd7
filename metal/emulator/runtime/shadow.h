// Copyright © 2026 The mlx-fork authors
//
// Finds races: remembers, for each byte, who wrote and read it last and between
// which barriers. Two accesses are ordered when a barrier that orders such
// memory lies between them; this does not depend on which of them came first in
// this run.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace emu {

// Who accesses, and after which barriers.
struct Moment {
  uint64_t group; // threadgroup of the grid
  uint32_t thread; // index in the threadgroup
  uint32_t epoch; // barriers of the threadgroup that ordered this memory
  uint32_t simd_epoch; // barriers of the SIMD group that did, since then
  uint32_t pc; // offset in the library
  bool atomic;

  uint32_t simd() const {
    return thread / 32;
  }
};

struct Conflict {
  bool found = false;
  Moment other{};
  bool other_wrote = false;
};

class Shadow {
 public:
  // `local`: a threadgroup's own, so that what other groups did there before is
  // none of its concern.
  Shadow(uint64_t size, bool local);

  Conflict read(uint64_t at, const Moment& now);
  Conflict write(uint64_t at, const Moment& now);

 private:
  struct Cell {
    uint64_t write_group;
    uint64_t read_group;
    uint32_t write_epoch, write_simd_epoch, write_pc;
    uint32_t read_epoch, read_simd_epoch, read_pc;
    uint16_t write_thread, read_thread;
    bool written, write_atomic;
    bool was_read;
    bool read_many; // by several threads since the last barrier of the SIMD
                    // group
    bool read_simds; // by several SIMD groups since the last barrier
    bool read_groups; // by several threadgroups
  };
  static constexpr uint64_t block = 4096;

  Cell& cell(uint64_t at);
  bool write_conflicts(const Cell& cell, const Moment& now) const;
  bool reads_conflict(const Cell& cell, const Moment& now) const;

  bool local_;
  std::vector<std::unique_ptr<Cell[]>> blocks_;
};

} // namespace emu
