// Copyright © 2026 The mlx-fork authors

#include "metal/event.h"

#include <algorithm>
#include <chrono>

#include "metal/faults.h"
#include "metal/kernel.h"

namespace emu::host {
namespace {

// As good as for ever, and no overflow in a clock.
constexpr uint64_t longest = 1000ull * 60 * 60 * 24 * 365;

} // namespace

uint64_t SharedEvent::value() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return value_;
}

void SharedEvent::set_value(uint64_t value) {
  std::lock_guard<std::mutex> lock(mutex_);
  value_ = value;
  changed_.notify_all();
}

bool SharedEvent::wait(uint64_t value) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(limit_seconds()), [&] {
    return value_ >= value;
  });
}

bool SharedEvent::wait_or_throw(uint64_t value, uint64_t milliseconds) const {
  bool in_time;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    auto limit = std::chrono::milliseconds(std::min(milliseconds, longest));
    in_time = changed_.wait_for(lock, limit, [&] { return value_ >= value; });
  }
  throw_faults();
  return in_time;
}

const Class& SharedEvent::class_object() {
  static const Class type(
      "MTLSharedEvent",
      &Object::class_object(),
      {method<&SharedEvent::value>("signaledValue"),
       method<&SharedEvent::set_value>("setSignaledValue:"),
       method<&SharedEvent::wait_or_throw>(
           "waitUntilSignaledValue:timeoutMS:")});
  return type;
}

const Class& Fence::class_object() {
  static const Class type("MTLFence", &Object::class_object(), {});
  return type;
}

} // namespace emu::host
