// Copyright © 2026 The mlx-fork authors
//
// Finds races: remembers, for each byte, who used it and between which
// barriers. Two accesses are ordered when a barrier that orders such memory
// lies between them; this does not depend on which of them came first in this
// run. Atomic accesses need no order among themselves.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace emu {

enum class Access : uint8_t {
  read,
  write,
  atomic_load,
  atomic_store,
  atomic_update, // loads and stores
};

constexpr bool reads(Access access) {
  return access != Access::write && access != Access::atomic_store;
}

constexpr bool writes(Access access) {
  return access != Access::read && access != Access::atomic_load;
}

// Who accesses, and after which barriers.
struct Moment {
  uint32_t group; // threadgroup of the grid
  uint32_t thread; // index in the threadgroup
  uint32_t epoch; // barriers of the threadgroup that ordered this memory
  uint32_t simd_epoch; // barriers of the SIMD group that did, since then
  uint32_t pc; // offset in the library

  uint32_t simd() const {
    return thread / 32;
  }
};

struct Conflict {
  bool found = false;
  bool other_wrote = false;
  Moment other{};
};

class Shadow {
 public:
  // `local`: a threadgroup's own, so that what other groups did there before is
  // none of its concern.
  Shadow(uint64_t size, bool local);

  // Notes the access, and finds an earlier one that it has no order with.
  Conflict access(uint64_t at, Access access, const Moment& now);

 private:
  // Accesses of one kind: the last one, and who else there was.
  struct Accesses {
    Moment last;
    bool any;
    bool threads; // several since the last barrier of the SIMD group
    bool simds; // several SIMD groups since the last barrier
    bool groups; // several threadgroups
  };
  struct Cell {
    Accesses reads, writes, atomic_loads, atomic_stores;
  };
  static constexpr uint64_t block = 1024;

  Cell& cell(uint64_t at);
  bool has_no_order(const Accesses& earlier, const Moment& now) const;
  void add(Accesses& accesses, const Moment& now) const;

  bool local_;
  std::vector<std::unique_ptr<Cell[]>> blocks_;
};

} // namespace emu
