// Copyright © 2026 The mlx-fork authors

#include "shadow.h"

namespace emu {

Shadow::Shadow(uint64_t size, bool local)
    : local_(local), blocks_((size + block - 1) / block) {}

Shadow::Cell& Shadow::cell(uint64_t at) {
  auto& cells = blocks_[at / block];
  if (!cells) {
    cells = std::make_unique<Cell[]>(block);
  }
  return cells[at % block];
}

// True when one of them and this access have no order.
bool Shadow::has_no_order(const Accesses& earlier, const Moment& now) const {
  if (!earlier.any) {
    return false;
  }
  if (earlier.groups || earlier.last.group != now.group) {
    return !local_;
  }
  if (earlier.last.epoch != now.epoch) {
    return false;
  }
  if (earlier.simds || earlier.last.simd() != now.simd()) {
    return true;
  }
  if (earlier.last.simd_epoch != now.simd_epoch) {
    return false;
  }
  return earlier.threads || earlier.last.thread != now.thread;
}

void Shadow::add(Accesses& accesses, const Moment& now) const {
  const auto& last = accesses.last;
  if (!accesses.any || last.group != now.group || last.epoch != now.epoch) {
    accesses.groups |= !local_ && accesses.any && last.group != now.group;
    accesses.threads = accesses.simds = false;
  } else if (last.simd() != now.simd()) {
    accesses.simds = true;
  } else if (last.simd_epoch != now.simd_epoch) {
    accesses.threads = false;
  } else if (last.thread != now.thread) {
    accesses.threads = true;
  }
  accesses.any = true;
  accesses.last = now;
}

Conflict Shadow::access(uint64_t at, Access access, const Moment& now) {
  auto& known = cell(at);
  const bool plain = access == Access::read || access == Access::write;
  Conflict conflict;
  auto look = [&](const Accesses& earlier, bool wrote) {
    if (!conflict.found && has_no_order(earlier, now)) {
      conflict = {true, wrote, earlier.last};
    }
  };
  look(known.writes, true);
  if (plain) {
    look(known.atomic_stores, true);
  }
  if (emu::writes(access)) {
    look(known.reads, false);
  }
  if (access == Access::write) {
    look(known.atomic_loads, false);
  }
  if (emu::writes(access)) {
    add(plain ? known.writes : known.atomic_stores, now);
  } else {
    add(plain ? known.reads : known.atomic_loads, now);
  }
  return conflict;
}

} // namespace emu
