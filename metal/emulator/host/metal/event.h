// Copyright © 2026 The mlx-fork authors
//
// What orders work: shared events between queues and the CPU, and fences, which
// queues that run one thing after another don't need.

#pragma once

#include <condition_variable>
#include <mutex>

#include "objective_c/object.h"

namespace emu::host {

class SharedEvent : public Object {
 public:
  SharedEvent() : Object(class_object()) {}

  uint64_t value() const;
  void set_value(uint64_t value);
  // Waits without looking at faults: for a queue. False where the time is over
  // first.
  bool wait(uint64_t value) const;
  // For a thread of MLX's: throws the faults of launches so far.
  bool wait_or_throw(uint64_t value, uint64_t milliseconds) const;

  static const Class& class_object();

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  uint64_t value_ = 0;
};

class Fence : public Object {
 public:
  Fence() : Object(class_object()) {}
  static const Class& class_object();
};

} // namespace emu::host
