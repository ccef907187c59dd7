// Copyright © 2026 The mlx-fork authors

#include "metal/command_buffer.h"

#include <utility>

#include "metal/faults.h"
#include "objective_c/blocks.h"
#include "objective_c/pool.h"

namespace emu::host {
namespace {

// MTLDispatchType.
constexpr uint64_t concurrent = 1;

} // namespace

CommandBuffer::CommandBuffer(CommandQueue& queue)
    : Object(class_object()), queue_(queue) {}

CommandBuffer::~CommandBuffer() {
  for (auto* handler : handlers_) {
    release_block(handler);
  }
}

ComputeEncoder* CommandBuffer::encoder(uint64_t dispatch_type) {
  auto encoder = Reference<ComputeEncoder>::take(
      new ComputeEncoder(dispatch_type == concurrent));
  commands_.push_back([encoder] { return encoder->run(); });
  encoder->retain();
  encoder->autorelease();
  return encoder.get();
}

void CommandBuffer::encode_wait(SharedEvent* event, uint64_t value) {
  auto shared = Reference<SharedEvent>::share(event);
  commands_.push_back([shared, value] {
    return shared->wait(value)
        ? std::string()
        : "a queue waited for an event that nothing signalled in " +
            std::to_string(limit_seconds()) +
            " s (MLX_FORK_EMULATOR_SECONDS sets the limit)";
  });
}

void CommandBuffer::encode_signal(SharedEvent* event, uint64_t value) {
  auto shared = Reference<SharedEvent>::share(event);
  commands_.push_back([shared, value] {
    shared->set_value(value);
    return std::string();
  });
}

void CommandBuffer::add_handler(const void* block) {
  handlers_.push_back(copy_block(block));
}

void CommandBuffer::commit() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    status_ = Status::committed;
  }
  queue_.enqueue(this);
}

void CommandBuffer::run() {
  Pool pool;
  std::string fault;
  // Events are signalled after a fault, too: others wait for them.
  for (auto& command : commands_) {
    auto met = command();
    if (!met.empty()) {
      note_fault(met);
      fault = fault.empty() ? met : fault;
    }
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    status_ = fault.empty() ? Status::completed : Status::error;
    fault_ = fault;
  }
  for (auto* handler : std::exchange(handlers_, {})) {
    try {
      call_block(handler, this);
    } catch (const std::exception&) {
      // MLX's handlers throw what they find in our error, which is noted.
    }
    release_block(handler);
  }
  commands_.clear();
  std::lock_guard<std::mutex> lock(mutex_);
  is_over_ = true;
  done_.notify_all();
}

void CommandBuffer::wait() const {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return is_over_; });
  }
  throw_faults();
}

uint64_t CommandBuffer::status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<uint64_t>(status_);
}

Error* CommandBuffer::error() const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (fault_.empty()) {
    return nullptr;
  }
  auto* error = new Error(fault_);
  error->autorelease();
  return error;
}

const Class& CommandBuffer::class_object() {
  static const Class type(
      "MTLCommandBuffer",
      &Object::class_object(),
      {method<&CommandBuffer::encoder>(
           "computeCommandEncoderWithDispatchType:"),
       method<&CommandBuffer::encode_wait>("encodeWaitForEvent:value:"),
       method<&CommandBuffer::encode_signal>("encodeSignalEvent:value:"),
       method<&CommandBuffer::add_handler>("addCompletedHandler:"),
       method<&CommandBuffer::commit>("commit"),
       method<&CommandBuffer::wait>("waitUntilCompleted"),
       method<&CommandBuffer::status>("status"),
       method<&CommandBuffer::error>("error"),
       method<&CommandBuffer::set_label>("setLabel:"),
       method<&CommandBuffer::label>("label")});
  return type;
}

CommandQueue::~CommandQueue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ends_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

CommandBuffer* CommandQueue::buffer() {
  expect_faults();
  auto* buffer = new CommandBuffer(*this);
  buffer->autorelease();
  return buffer;
}

void CommandQueue::enqueue(CommandBuffer* buffer) {
  std::lock_guard<std::mutex> lock(mutex_);
  committed_.push_back(Reference<CommandBuffer>::share(buffer));
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { work(); });
  }
  changed_.notify_all();
}

void CommandQueue::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ends_ || !committed_.empty(); });
    if (committed_.empty()) {
      return;
    }
    auto buffer = std::move(committed_.front());
    committed_.pop_front();
    lock.unlock();
    buffer->run();
    buffer = {};
    lock.lock();
  }
}

const Class& CommandQueue::class_object() {
  static const Class type(
      "MTLCommandQueue",
      &Object::class_object(),
      {method<&CommandQueue::buffer>("commandBufferWithUnretainedReferences"),
       method<&CommandQueue::add_residency_set>("addResidencySet:"),
       method<&CommandQueue::set_label>("setLabel:")});
  return type;
}

} // namespace emu::host
