// Copyright © 2026 The mlx-fork authors

#include "group.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "access.h"

namespace emu {
namespace {

thread_local Worker* worker = nullptr;

uint64_t next_random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

uint32_t product(Uint3 size) {
  return size.x * size.y * size.z;
}

bool same(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

std::string text(const Site& site) {
  const char* slash = strrchr(site.file, '/');
  return std::string(slash ? slash + 1 : site.file) + ":" +
      std::to_string(site.line);
}

} // namespace

Worker::Worker(Launch& launch, uint32_t index)
    : launch_(launch),
      index_(index),
      threads_(launch.job.threads_in_group()),
      stacks_(threads_),
      fibers_(threads_),
      simd_((threads_ + 31) / 32),
      ready_((threads_ + 63) / 64),
      random_((launch.job.seed + 1) * 0x9e3779b97f4a7c15u + index) {}

Worker* Worker::current() {
  return worker;
}

void Worker::run() {
  worker = this;
  const uint64_t count = launch_.job.group_count();
  while (!launch_.over) {
    uint64_t turn = launch_.next_group++;
    if (turn >= count) {
      break;
    }
    auto group = (launch_.group_start +
                  static_cast<unsigned __int128>(turn) * launch_.group_step) %
        count;
    begin_group(uint64_t(group));
    while (done_ < threads_ && !launch_.over) {
      int next = pick();
      if (next < 0 && is_barrier_forgiven()) {
        finish_barrier();
        continue;
      }
      if (next < 0) {
        diagnose();
        break;
      }
      running_ = uint32_t(next);
      emu_switch_stack(&main_stack_, fibers_[running_].stack);
    }
    end_group();
  }
  worker = nullptr;
}

void Worker::begin_group(uint64_t index) {
  const auto& job = launch_.job;
  group_index_ = index;
  Uint3 at{
      uint32_t(index % job.groups.x),
      uint32_t(index / job.groups.x % job.groups.y),
      uint32_t(index / job.groups.x / job.groups.y)};
  auto clip = [](uint32_t threads, uint32_t group, uint32_t at) {
    uint64_t left = uint64_t(threads) - uint64_t(at) * group;
    return left < group ? uint32_t(left) : group;
  };
  Uint3 size{
      clip(job.threads.x, job.group.x, at.x),
      clip(job.threads.y, job.group.y, at.y),
      clip(job.threads.z, job.group.z, at.z)};
  threads_ = product(size);
  const uint32_t simds = (threads_ + 31) / 32;
  const uint32_t full_simds = (product(job.group) + 31) / 32;
  for (uint32_t i = 0; i < simds; ++i) {
    auto& simd = simd_[i];
    simd.size = threads_ - i * 32 < 32 ? threads_ - i * 32 : 32;
    simd.expected = ~uint32_t(0) >> (32 - simd.size);
    simd.arrived = simd.at_barrier = 0;
    simd.device_epoch = simd.threadgroup_epoch = 0;
  }
  for (auto& word : ready_) {
    word = 0;
  }
  for (auto& region : launch_.memory.variables(index_)) {
    Memory::poison(region);
    forget_accesses(region);
  }
  device_epoch_ = threadgroup_epoch_ = 0;
  at_barrier_ = done_ = 0;
  for (uint32_t i = 0; i < threads_; ++i) {
    auto& fiber = fibers_[i];
    Uint3 local{i % size.x, i / size.x % size.y, i / size.x / size.y};
    auto& thread = fiber.thread;
    thread.thread_position_in_threadgroup = local;
    thread.thread_position_in_grid = {
        at.x * job.group.x + local.x,
        at.y * job.group.y + local.y,
        at.z * job.group.z + local.z};
    thread.threadgroup_position_in_grid = at;
    thread.threads_per_grid = job.threads;
    thread.threads_per_threadgroup = size;
    thread.dispatch_threads_per_threadgroup = job.group;
    thread.threadgroups_per_grid = job.groups;
    thread.grid_origin = {0, 0, 0};
    thread.grid_size = job.threads;
    thread.thread_index_in_threadgroup = i;
    thread.thread_index_in_simdgroup = i % 32;
    thread.simdgroup_index_in_threadgroup = i / 32;
    thread.simdgroups_per_threadgroup = simds;
    thread.dispatch_simdgroups_per_threadgroup = full_simds;
    thread.threads_per_simdgroup = 32;
    thread.thread_execution_width = 32;
    thread.thread_index_in_quadgroup = i % 4;
    thread.quadgroup_index_in_threadgroup = i / 4;
    thread.quadgroups_per_threadgroup = (threads_ + 3) / 4;
    thread.dispatch_quadgroups_per_threadgroup = (product(job.group) + 3) / 4;
    thread.buffers = launch_.buffers;
    thread.threadgroup_arguments = threadgroup_arguments_;
    thread.reads_absent = job.forgiving;
    fiber.stack = stacks_.enter(i, fiber_main);
    fiber.state = State::ready;
    wake(i);
  }
  for (const auto& [argument, bytes] : job.threadgroup) {
    threadgroup_arguments_[argument] = storage(
        argument,
        &job,
        ("threadgroup(" + std::to_string(argument) + ")").c_str(),
        bytes,
        16);
  }
}

void Worker::end_group() {
  for (auto& region : launch_.memory.variables(index_)) {
    collect_counts(region);
  }
}

void Worker::fiber_main() {
  Worker* self = worker;
  auto& fiber = self->fibers_[self->running_];
  self->launch_.kernel.entry(fiber.thread);
  fiber.state = State::done;
  ++self->done_;
  if (self->launch_.job.forgiving) {
    self->leave_simd_group();
  }
  void* finished;
  int next = self->done_ < self->threads_ ? self->pick() : -1;
  if (next >= 0) {
    self->running_ = uint32_t(next);
  }
  emu_switch_stack(
      &finished, next < 0 ? self->main_stack_ : self->fibers_[next].stack);
  __builtin_unreachable();
}

void Worker::wake(uint32_t index) {
  fibers_[index].state = State::ready;
  ready_[index / 64] |= uint64_t(1) << (index % 64);
}

// Takes a fiber that can go on; less than 0 when none can.
int Worker::pick() {
  const auto schedule = launch_.job.schedule;
  const uint32_t words = (threads_ + 63) / 64;
  if (schedule == Schedule::reverse) {
    for (uint32_t word = words; word-- > 0;) {
      if (ready_[word]) {
        int bit = 63 - __builtin_clzll(ready_[word]);
        ready_[word] &= ~(uint64_t(1) << bit);
        return int(word * 64) + bit;
      }
    }
    return -1;
  }
  uint32_t start = schedule == Schedule::random
      ? uint32_t(next_random(random_) % threads_)
      : 0;
  // From `start` around to it again.
  for (uint32_t i = 0; i <= words; ++i) {
    uint32_t word = (start / 64 + i) % words;
    uint64_t candidates = ready_[word];
    if (i == 0) {
      candidates &= ~uint64_t(0) << (start % 64);
    }
    if (candidates) {
      int bit = __builtin_ctzll(candidates);
      ready_[word] &= ~(uint64_t(1) << bit);
      return int(word * 64) + bit;
    }
  }
  return -1;
}

// Lets others run until this fiber is woken.
void Worker::wait(State state, const char* op, Site site) {
  uint32_t self = running_;
  auto& fiber = fibers_[self];
  fiber.state = state;
  fiber.waits_at = op;
  fiber.site = site;
  int next = pick();
  if (next < 0) {
    emu_switch_stack(&fiber.stack, main_stack_);
  } else if (uint32_t(next) != self) {
    running_ = uint32_t(next);
    emu_switch_stack(&fiber.stack, fibers_[next].stack);
  }
}

void Worker::expect_same(
    const SimdGroup& simd,
    const char* op,
    const Site& site) const {
  if (same(simd.site, site) && strcmp(simd.op, op) == 0) {
    return;
  }
  auto fault = fault_here(
      "simd_divergence",
      std::string("this thread calls ") + op + " at " + text(site) +
          " while others of its SIMD group are at " + simd.op + ", " +
          text(simd.site));
  fault.file = site.file;
  fault.line = site.line;
  const_cast<Worker*>(this)->stop(std::move(fault));
}

SimdTable& Worker::exchange(
    const char* op,
    Site site,
    const void* value,
    uint32_t size,
    void (*finish)(SimdTable&)) {
  const uint32_t lane = running_ % 32;
  auto& simd = simd_[running_ / 32];
  auto& table = simd.tables[simd.turn];
  if (simd.arrived == 0) {
    simd.op = op;
    simd.site = site;
    simd.finish = finish;
  } else {
    expect_same(simd, op, site);
  }
  memcpy(table.lane[lane], value, size);
  simd.arrived |= uint32_t(1) << lane;
  if (simd.arrived != simd.expected) {
    wait(State::simd, op, site);
  } else {
    finish_exchange(simd);
  }
  return table;
}

void Worker::finish_exchange(SimdGroup& simd) {
  auto& table = simd.tables[simd.turn];
  table.active = simd.arrived;
  if (simd.finish) {
    simd.finish(table);
  }
  ++simd_operations;
  simd.turn ^= 1;
  wake_lanes(std::exchange(simd.arrived, 0));
}

void Worker::simd_barrier(uint32_t flags, Site site) {
  auto& simd = simd_[running_ / 32];
  if (simd.at_barrier == 0) {
    simd.op = "simdgroup_barrier";
    simd.site = site;
    simd.flags = flags;
  } else {
    expect_same(simd, "simdgroup_barrier", site);
  }
  simd.at_barrier |= uint32_t(1) << running_ % 32;
  if (simd.at_barrier != simd.expected) {
    wait(State::simd_barrier, "simdgroup_barrier", site);
  } else {
    finish_simd_barrier(simd);
  }
}

void Worker::finish_simd_barrier(SimdGroup& simd) {
  simd.device_epoch += simd.flags & 1;
  simd.threadgroup_epoch += simd.flags >> 1 & 1;
  wake_lanes(std::exchange(simd.at_barrier, 0));
}

// The running thread has returned: the rest of its SIMD group waits for it no
// longer.
void Worker::leave_simd_group() {
  auto& simd = simd_[running_ / 32];
  simd.expected &= ~(uint32_t(1) << running_ % 32);
  if (simd.arrived != 0 && simd.arrived == simd.expected) {
    finish_exchange(simd);
  }
  if (simd.at_barrier != 0 && simd.at_barrier == simd.expected) {
    finish_simd_barrier(simd);
  }
}

// Lets lanes of the running thread's SIMD group go on.
void Worker::wake_lanes(uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) {
    auto lane = uint32_t(__builtin_ctz(lanes));
    if (lane != running_ % 32) {
      wake(running_ / 32 * 32 + lane);
    }
  }
}

void Worker::barrier(uint32_t flags, Site site) {
  if (at_barrier_ == 0) {
    barrier_site_ = site;
    barrier_flags_ = flags;
  } else if (!same(barrier_site_, site)) {
    auto fault = fault_here(
        "barrier_divergence",
        "this thread is at the barrier of " + text(site) +
            " while others of its threadgroup are at that of " +
            text(barrier_site_));
    fault.file = site.file;
    fault.line = site.line;
    stop(std::move(fault));
  }
  fibers_[running_].state = State::barrier;
  if (++at_barrier_ < threads_) {
    wait(State::barrier, "threadgroup_barrier", site);
  } else {
    finish_barrier();
    ready_[running_ / 64] &= ~(uint64_t(1) << running_ % 64);
  }
}

// On a GPU it is SIMD groups that come to a barrier: lanes on another way wait
// for theirs, and nobody notices.
bool Worker::is_barrier_forgiven() const {
  return launch_.job.forgiving && at_barrier_ > 0 && barrier_flags_ == 0;
}

// Lets all go on that came to the threadgroup's barrier.
void Worker::finish_barrier() {
  at_barrier_ = 0;
  ++barriers;
  device_epoch_ += barrier_flags_ & 1;
  threadgroup_epoch_ += barrier_flags_ >> 1 & 1;
  for (uint32_t i = 0; i < threads_; ++i) {
    if (fibers_[i].state == State::barrier) {
      wake(i);
    }
  }
}

void* Worker::storage(
    uint32_t id,
    const void* tag,
    const char* name,
    size_t size,
    size_t align) {
  for (const auto& known : declared_) {
    if (known.id == id && known.tag == tag) {
      return launch_.memory.variables(index_)[known.region].base;
    }
  }
  // Addresses of regions are far apart: any alignment that a type asks holds.
  threadgroup_bytes_ = (threadgroup_bytes_ + align - 1) / align * align + size;
  auto& variables = launch_.memory.variables(index_);
  declared_.push_back({id, tag, variables.size()});
  auto& region = launch_.memory.add_variable(index_, name, size);
  forget_accesses(region);
  if (threadgroup_bytes_ > Memory::largest_threadgroup_memory) {
    Fault fault;
    fault.kind = "threadgroup_memory";
    fault.message = "the threadgroup's variables take " +
        std::to_string(threadgroup_bytes_) + " bytes with " + name +
        ": there are " + std::to_string(Memory::largest_threadgroup_memory);
    fault.buffer = name;
    launch_.report.note(std::move(fault));
  }
  return region.base;
}

} // namespace emu
