// Copyright © 2026 The mlx-fork authors

#include "access.h"

#include <atomic>
#include <string>
#include <utility>

#include "coalescing.h"
#include "group.h"
#include "library.h"

namespace emu {
namespace {

std::atomic<uint64_t> threadgroup_read{0};
std::atomic<uint64_t> threadgroup_written{0};

std::string bytes(uint64_t count) {
  return count == 1 ? "1 byte" : std::to_string(count) + " bytes";
}

std::string describe(const Region& region) {
  return region.threadgroup
      ? "the threadgroup's " + region.name
      : "buffer " + std::to_string(region.index) + " (" + region.name + ")";
}

Fault fault_at(
    const Worker& worker,
    const char* kind,
    std::string message,
    const Region& region,
    int64_t offset,
    const void* pc) {
  auto fault = worker.fault_here(kind, std::move(message));
  fault.pc = pc;
  fault.buffer = region.name;
  fault.has_offset = true;
  fault.offset = offset;
  return fault;
}

void note(Worker& worker, Fault fault) {
  if (!worker.launch().report.note(fault)) {
    worker.stop(std::move(fault));
  }
}

void check_order(
    Worker& worker,
    Region& region,
    uint64_t at,
    uint32_t size,
    Access access,
    const void* pc) {
  const auto& simd = worker.simd_group();
  Moment now{
      uint32_t(worker.group_index()),
      worker.thread_index(),
      region.threadgroup ? worker.threadgroup_epoch() : worker.device_epoch(),
      region.threadgroup ? simd.threadgroup_epoch : simd.device_epoch,
      library_offset(pc)};
  for (uint32_t i = 0; i < size; ++i) {
    auto conflict = region.shadow->access(at + i, access, now);
    if (!conflict.found) {
      continue;
    }
    const auto& other = conflict.other;
    bool other_group = other.group != now.group;
    auto fault = fault_at(
        worker,
        "race",
        std::string(writes(access) ? "writes " : "reads ") + bytes(size) +
            " of " + describe(region) + " at " + std::to_string(at) +
            ", which thread " + std::to_string(other.thread) +
            (other_group ? " of threadgroup " + std::to_string(other.group)
                         : "") +
            (conflict.other_wrote ? " wrote" : " read") +
            " with no barrier between" + (other_group ? " threadgroups" : ""),
        region,
        int64_t(at),
        pc);
    fault.other_pc = library_address(other.pc);
    note(worker, std::move(fault));
    // The other bytes of the access would tell the same.
    for (++i; i < size; ++i) {
      region.shadow->access(at + i, access, now);
    }
  }
}

void check_bounds(
    Worker& worker,
    const Region& region,
    int64_t at,
    uint32_t size,
    bool write,
    const void* pc) {
  if (at >= 0 && uint64_t(at) + size <= region.size) {
    return;
  }
  std::string place = at < 0        ? bytes(uint64_t(-at)) + " before the start"
      : uint64_t(at) == region.size ? "right past the end"
      : uint64_t(at) > region.size
      ? bytes(uint64_t(at) - region.size) + " past the end"
      : "across the end";
  worker.stop(fault_at(
      worker,
      "out_of_bounds",
      std::string(write ? "writes " : "reads ") + bytes(size) + " " + place +
          " of " + describe(region) + ", which has " + bytes(region.size),
      region,
      at,
      pc));
}

} // namespace

void on_access(
    const void* address,
    uint32_t size,
    Access access,
    uint32_t alignment,
    const void* pc) {
  auto* worker = Worker::current();
  if (!worker) {
    return;
  }
  auto* region = worker->launch().memory.owner(address);
  if (!region) {
    return; // a thread's own memory, or a table of constants
  }
  const int64_t at = static_cast<const unsigned char*>(address) - region->base;
  const bool read = reads(access);
  const bool write = writes(access);
  check_bounds(*worker, *region, at, size, write, pc);
  if (reinterpret_cast<uintptr_t>(address) % alignment != 0) {
    note(
        *worker,
        fault_at(
            *worker,
            "misaligned",
            std::string(write ? "writes " : "reads ") + bytes(size) + " of " +
                describe(*region) + " at " + std::to_string(at) +
                ", and the type wants a multiple of " +
                std::to_string(alignment),
            *region,
            at,
            pc));
  }
  if (write && !region->writable) {
    worker->stop(fault_at(
        *worker,
        "const_write",
        "writes " + bytes(size) + " to " + describe(*region) +
            ", which the host binds for reading only",
        *region,
        at,
        pc));
  }
  if (read && !region->initialised) {
    auto unset = region->written.first_unset(uint64_t(at), size);
    if (unset < size) {
      note(
          *worker,
          fault_at(
              *worker,
              "uninitialised",
              "reads " + bytes(size) + " of " + describe(*region) + " at " +
                  std::to_string(at) + ", and byte " +
                  std::to_string(at + unset) + " was never written",
              *region,
              at,
              pc));
    }
  }
  if (region->shadow) {
    check_order(*worker, *region, uint64_t(at), size, access, pc);
  }
  if (read) {
    region->read += size;
    if (!region->threadgroup) {
      region->distinct_read += region->seen.set(uint64_t(at), size);
    }
  }
  if (write) {
    region->wrote += size;
    region->distinct_written += region->written.set(uint64_t(at), size);
  }
  if (!region->threadgroup) {
    log_access(*worker, *region, uint64_t(at), size, write, pc);
  }
}

void watch(Region& region) {
  if (!region.threadgroup) {
    region.seen.reset(region.size);
  }
  if (region.writable || !region.initialised) {
    region.written.reset(region.size);
  }
  if (region.writable) {
    region.shadow = new Shadow(region.size, region.threadgroup);
  }
}

void forget_accesses(Region& region) {
  if (region.shadow) {
    region.written.reset(region.size);
  } else if (library_is_checked()) {
    watch(region);
  }
}

void collect_counts(Region& region) {
  threadgroup_read += region.read;
  threadgroup_written += region.wrote;
  region.read = region.wrote = 0;
}

uint64_t threadgroup_bytes_read() {
  return threadgroup_read;
}

uint64_t threadgroup_bytes_written() {
  return threadgroup_written;
}

} // namespace emu
