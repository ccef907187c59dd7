// Copyright © 2026 The mlx-fork authors
//
// A worker: it runs threadgroups one after another, each GPU thread on a fiber,
// and has them meet at barriers and SIMD operations.

#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "fiber.h"
#include "job.h"
#include "memory.h"
#include "report.h"

namespace emu {

enum class State : uint8_t { ready, simd, simd_barrier, barrier, done };

struct Fiber {
  void* stack = nullptr;
  State state = State::done;
  const char* waits_at = nullptr; // the operation's name
  Site site{nullptr, 0};
  Thread thread{};
};

struct SimdGroup {
  SimdTable tables[2];
  uint32_t turn = 0; // the table of the operation that is under way
  uint32_t size = 0; // threads
  // A bit a lane: those that an operation waits for, those that came to a
  // function, those that came to a barrier.
  uint32_t expected = 0;
  uint32_t arrived = 0;
  uint32_t at_barrier = 0;
  uint32_t flags = 0;
  void (*finish)(SimdTable&) = nullptr;
  const char* op = nullptr;
  Site site{nullptr, 0};
  // How many barriers of this SIMD group ordered device, threadgroup memory.
  uint32_t device_epoch = 0;
  uint32_t threadgroup_epoch = 0;
};

// What all workers share.
struct Launch {
  const Job& job;
  const Kernel& kernel;
  Memory& memory;
  Report& report;
  void* buffers[Memory::slots] = {};
  std::atomic<uint64_t> next_group{0};
  std::atomic<bool> over{false}; // a fault ended it
  // Groups are taken in the order start + i * step, modulo their number.
  uint64_t group_start = 0;
  uint64_t group_step = 1;
};

class Worker {
 public:
  Worker(Launch& launch, uint32_t index);

  // Runs groups until there are none left.
  void run();

  uint64_t barriers = 0; // of whole threadgroups
  uint64_t simd_operations = 0; // of whole SIMD groups

  // The worker whose fiber runs on this thread of the system, if any does.
  static Worker* current();

  // Of the running fiber.
  const Fiber& running() const {
    return fibers_[running_];
  }
  uint32_t thread_index() const {
    return running_;
  }
  uint64_t group_index() const {
    return group_index_;
  }
  const SimdGroup& simd_group() const {
    return simd_[running_ / 32];
  }
  uint32_t device_epoch() const {
    return device_epoch_;
  }
  uint32_t threadgroup_epoch() const {
    return threadgroup_epoch_;
  }
  const Stacks& stacks() const {
    return stacks_;
  }
  Launch& launch() {
    return launch_;
  }
  uint32_t index() const {
    return index_;
  }

  SimdTable& exchange(
      const char* op,
      Site site,
      const void* value,
      uint32_t size,
      void (*finish)(SimdTable&));
  void simd_barrier(uint32_t flags, Site site);
  void barrier(uint32_t flags, Site site);
  void* storage(
      uint32_t id,
      const void* tag,
      const char* name,
      size_t size,
      size_t align);

  // Notes the fault and ends the launch.
  [[noreturn]] void stop(Fault fault);
  // A fault of the running thread, its place filled in.
  Fault fault_here(std::string kind, std::string message) const;

 private:
  static void fiber_main();
  void begin_group(uint64_t index);
  void end_group();
  void wait(State state, const char* op, Site site);
  void leave_simd_group();
  bool is_barrier_forgiven() const;
  void finish_barrier();
  void finish_exchange(SimdGroup& simd);
  void finish_simd_barrier(SimdGroup& simd);
  void wake_lanes(uint32_t lanes);
  int pick();
  void wake(uint32_t index);
  void diagnose();
  void end_launch();
  void expect_same(const SimdGroup& simd, const char* op, const Site& site)
      const;
  std::string where(uint32_t thread) const;
  std::string list(const std::vector<uint32_t>& threads) const;

  Launch& launch_;
  uint32_t index_;
  uint32_t
      threads_; // of the group that runs: the last of a grid may be smaller
  Stacks stacks_;
  std::vector<Fiber> fibers_;
  std::vector<SimdGroup> simd_;
  std::vector<ThreadgroupVariable> declared_;
  void* threadgroup_arguments_[Memory::slots] = {};
  std::vector<uint64_t> ready_; // a bit a fiber
  void* main_stack_ = nullptr;
  uint32_t running_ = 0;
  uint32_t done_ = 0;
  uint32_t at_barrier_ = 0;
  uint32_t barrier_flags_ = 0;
  Site barrier_site_{nullptr, 0};
  uint32_t device_epoch_ = 0;
  uint32_t threadgroup_epoch_ = 0;
  uint64_t group_index_ = 0;
  uint64_t random_;
  size_t threadgroup_bytes_ = 0;
};

} // namespace emu
