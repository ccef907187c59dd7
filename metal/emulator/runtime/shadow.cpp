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

// True when the last write and this access have no order.
bool Shadow::write_conflicts(const Cell& cell, const Moment& now) const {
  if (!cell.written || (cell.write_atomic && now.atomic)) {
    return false;
  }
  if (cell.write_group != now.group) {
    return !local_;
  }
  if (cell.write_thread == now.thread || cell.write_epoch != now.epoch) {
    return false;
  }
  bool same_simd = cell.write_thread / 32u == now.simd();
  return !same_simd || cell.write_simd_epoch == now.simd_epoch;
}

// True when some read and this write have no order.
bool Shadow::reads_conflict(const Cell& cell, const Moment& now) const {
  if (!cell.was_read) {
    return false;
  }
  if (cell.read_groups || cell.read_group != now.group) {
    return !local_;
  }
  if (cell.read_epoch != now.epoch) {
    return false;
  }
  if (cell.read_simds || cell.read_thread / 32u != now.simd()) {
    return true;
  }
  if (cell.read_simd_epoch != now.simd_epoch) {
    return false;
  }
  return cell.read_many || cell.read_thread != now.thread;
}

Conflict Shadow::read(uint64_t at, const Moment& now) {
  auto& last = cell(at);
  Conflict conflict;
  if (write_conflicts(last, now)) {
    conflict.found = true;
    conflict.other_wrote = true;
    conflict.other = {
        last.write_group,
        last.write_thread,
        last.write_epoch,
        last.write_simd_epoch,
        last.write_pc,
        last.write_atomic};
  }
  if (last.was_read && last.read_group == now.group &&
      last.read_epoch == now.epoch) {
    if (last.read_thread / 32u != now.simd()) {
      last.read_simds = true;
    } else if (last.read_simd_epoch != now.simd_epoch) {
      last.read_many = false;
    } else if (last.read_thread != now.thread) {
      last.read_many = true;
    }
  } else {
    last.read_groups |=
        !local_ && last.was_read && last.read_group != now.group;
    last.read_many = last.read_simds = false;
  }
  last.was_read = true;
  last.read_group = now.group;
  last.read_thread = uint16_t(now.thread);
  last.read_epoch = now.epoch;
  last.read_simd_epoch = now.simd_epoch;
  last.read_pc = now.pc;
  return conflict;
}

Conflict Shadow::write(uint64_t at, const Moment& now) {
  auto& last = cell(at);
  Conflict conflict;
  if (write_conflicts(last, now)) {
    conflict.found = true;
    conflict.other_wrote = true;
    conflict.other = {
        last.write_group,
        last.write_thread,
        last.write_epoch,
        last.write_simd_epoch,
        last.write_pc,
        last.write_atomic};
  } else if (reads_conflict(last, now)) {
    conflict.found = true;
    conflict.other = {
        last.read_group,
        last.read_thread,
        last.read_epoch,
        last.read_simd_epoch,
        last.read_pc,
        false};
  }
  last.written = true;
  last.write_atomic = now.atomic;
  last.write_group = now.group;
  last.write_thread = uint16_t(now.thread);
  last.write_epoch = now.epoch;
  last.write_simd_epoch = now.simd_epoch;
  last.write_pc = now.pc;
  return conflict;
}

} // namespace emu
