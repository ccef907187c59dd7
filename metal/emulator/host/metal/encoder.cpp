// Copyright © 2026 The mlx-fork authors

#include "metal/encoder.h"

#include <algorithm>
#include <random>
#include <utility>

namespace emu::host {

ComputeEncoder::ComputeEncoder(bool concurrent)
    : Object(class_object()), concurrent_(concurrent), next_{}, launches_(1) {}

ComputeEncoder::~ComputeEncoder() {
  for (const auto& unordered : launches_) {
    for (const auto& launch : unordered) {
      end_uses(launch);
    }
  }
}

void ComputeEncoder::end_uses(const Launch& launch) {
  for (const auto& [index, binding] : launch.bindings) {
    if (binding.buffer) {
      binding.buffer->end_use();
    }
  }
}

void ComputeEncoder::set_pipeline(Pipeline* pipeline) {
  if (next_.pipeline.get() != pipeline) {
    for (const auto& [index, binding] : next_.bindings) {
      if (used_.count(index) != 0) {
        stale_.insert(index);
      }
    }
  }
  next_.pipeline = Reference<Pipeline>::share(pipeline);
}

void ComputeEncoder::set_buffer(
    Buffer* buffer,
    uint64_t offset,
    uint64_t index) {
  if (index >= most_buffers && fault_.empty()) {
    fault_ = "setBuffer at " + std::to_string(index) + ": Metal has " +
        std::to_string(most_buffers) + " places for buffers";
  }
  used_.erase(index);
  stale_.erase(index);
  if (buffer) {
    next_.bindings[index] = {buffer, offset, {}};
  } else {
    next_.bindings.erase(index);
  }
}

void ComputeEncoder::set_bytes(
    const void* bytes,
    uint64_t length,
    uint64_t index) {
  if ((index >= most_buffers || length > most_bytes || length == 0) &&
      fault_.empty()) {
    fault_ = "setBytes of " + std::to_string(length) + " bytes at " +
        std::to_string(index) + ": Metal takes 1 to " +
        std::to_string(most_bytes) + " bytes, below " +
        std::to_string(most_buffers);
  }
  used_.erase(index);
  stale_.erase(index);
  next_.bindings[index] = {
      nullptr, 0, std::string(static_cast<const char*>(bytes), length)};
}

void ComputeEncoder::set_threadgroup_memory(uint64_t length, uint64_t index) {
  if (length % 16 != 0 && fault_.empty()) {
    fault_ = "setThreadgroupMemoryLength of " + std::to_string(length) +
        " bytes: Metal takes multiples of 16";
  }
  next_.threadgroup[index] = length;
}

void ComputeEncoder::add(Size grid, Size group, bool counts_threads) {
  next_.grid = grid;
  next_.group = group;
  next_.counts_threads = counts_threads;
  if (!next_.pipeline) {
    fault_ = fault_.empty() ? "a launch without a kernel" : fault_;
    return;
  }
  if (fault_.empty()) {
    fault_ = check(next_);
  }
  auto launch = next_;
  // What was bound for another kernel's launch is as good as nothing: that it
  // is still there is luck.
  std::erase_if(launch.bindings, [&](const auto& binding) {
    return stale_.count(binding.first) != 0;
  });
  for (const auto& [index, binding] : launch.bindings) {
    used_.insert(index);
    if (binding.buffer) {
      binding.buffer->use();
    }
  }
  launches_.back().push_back(std::move(launch));
  if (!concurrent_) {
    launches_.emplace_back();
  }
}

void ComputeEncoder::dispatch_threadgroups(Size threadgroups, Size threads) {
  add(threadgroups, threads, false);
}

void ComputeEncoder::dispatch_threads(Size grid, Size threads) {
  add(grid, threads, true);
}

void ComputeEncoder::barrier(uint64_t) {
  launches_.emplace_back();
}

std::string ComputeEncoder::run() {
  std::string fault = fault_;
  std::mt19937_64 random(seed());
  for (auto& unordered : launches_) {
    std::shuffle(unordered.begin(), unordered.end(), random);
    for (const auto& launch : unordered) {
      if (fault.empty()) {
        try {
          fault = emu::host::run(launch);
        } catch (const std::exception& error) {
          fault = error.what();
        }
      }
      end_uses(launch);
    }
  }
  launches_.clear();
  return fault;
}

const Class& ComputeEncoder::class_object() {
  static const Class type(
      "MTLComputeCommandEncoder",
      &Object::class_object(),
      {method<&ComputeEncoder::set_pipeline>("setComputePipelineState:"),
       method<&ComputeEncoder::set_buffer>("setBuffer:offset:atIndex:"),
       method<&ComputeEncoder::set_bytes>("setBytes:length:atIndex:"),
       method<&ComputeEncoder::set_threadgroup_memory>(
           "setThreadgroupMemoryLength:atIndex:"),
       method<&ComputeEncoder::dispatch_threadgroups>(
           "dispatchThreadgroups:threadsPerThreadgroup:"),
       method<&ComputeEncoder::dispatch_threads>(
           "dispatchThreads:threadsPerThreadgroup:"),
       method<&ComputeEncoder::barrier>("memoryBarrierWithScope:"),
       method<&ComputeEncoder::use_fence>("waitForFence:"),
       method<&ComputeEncoder::use_fence>("updateFence:"),
       method<&ComputeEncoder::end>("endEncoding"),
       method<&ComputeEncoder::set_label>("setLabel:")});
  return type;
}

} // namespace emu::host
