// Copyright © 2026 The mlx-fork authors
//
// What went wrong when no thread of a threadgroup can go on, and how a fault
// ends a launch.

#include <cstring>
#include <utility>

#include "group.h"

namespace emu {

Fault Worker::fault_here(std::string kind, std::string message) const {
  const auto& thread = fibers_[running_].thread;
  Fault fault;
  fault.kind = std::move(kind);
  fault.message = std::move(message);
  fault.has_thread = true;
  fault.thread = thread.thread_position_in_threadgroup;
  fault.threadgroup = thread.threadgroup_position_in_grid;
  fault.lane = thread.thread_index_in_simdgroup;
  return fault;
}

void Worker::end_launch() {
  launch_.over = true;
  launch_.report.complete = false;
}

void Worker::stop(Fault fault) {
  launch_.report.note(std::move(fault));
  end_launch();
  void* abandoned;
  emu_switch_stack(&abandoned, main_stack_);
  __builtin_unreachable();
}

// "0 to 31, 40", cut off when long.
std::string Worker::list(const std::vector<uint32_t>& threads) const {
  std::string text;
  for (size_t i = 0; i < threads.size();) {
    size_t end = i + 1;
    while (end < threads.size() && threads[end] == threads[end - 1] + 1) {
      ++end;
    }
    if (text.size() > 60) {
      return text + ", …";
    }
    text += text.empty() ? "" : ", ";
    text += std::to_string(threads[i]);
    if (end - i > 1) {
      text += (end - i > 2 ? " to " : ", ") + std::to_string(threads[end - 1]);
    }
    i = end;
  }
  return text;
}

std::string Worker::where(uint32_t thread) const {
  const auto& fiber = fibers_[thread];
  if (fiber.state == State::done) {
    return "returned";
  }
  const char* slash = strrchr(fiber.site.file, '/');
  return std::string("wait at ") + fiber.waits_at + ", " +
      (slash ? slash + 1 : fiber.site.file) + ":" +
      std::to_string(fiber.site.line);
}

void Worker::diagnose() {
  // A SIMD operation that only some came to is the closer cause: its threads
  // never reach a barrier that others wait at.
  uint32_t stuck = threads_;
  for (uint32_t i = 0; i < threads_ && stuck == threads_; ++i) {
    auto state = fibers_[i].state;
    if (state == State::simd || state == State::simd_barrier) {
      stuck = i;
    }
  }
  bool simd = stuck < threads_;
  uint32_t first = 0;
  uint32_t end = threads_;
  if (simd) {
    first = stuck / 32 * 32;
    end = first + simd_[stuck / 32].size;
  } else {
    for (stuck = 0; fibers_[stuck].state == State::done; ++stuck) {
    }
  }
  std::vector<uint32_t> here;
  std::vector<uint32_t> elsewhere;
  for (uint32_t i = first; i < end; ++i) {
    const auto& other = fibers_[i];
    bool same = other.state == fibers_[stuck].state &&
        other.site.line == fibers_[stuck].site.line;
    (same ? here : elsewhere).push_back(i);
  }
  const auto& fiber = fibers_[stuck];
  running_ = stuck;
  auto message = std::string(fiber.waits_at) + " was reached by threads " +
      list(here) + " only";
  if (!elsewhere.empty()) {
    message += "; threads " + list(elsewhere) + " " + where(elsewhere[0]);
  }
  auto fault =
      fault_here(simd ? "simd_divergence" : "barrier_divergence", message);
  fault.file = fiber.site.file;
  fault.line = fiber.site.line;
  launch_.report.note(std::move(fault));
  end_launch();
}

} // namespace emu
