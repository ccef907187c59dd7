// Copyright © 2026 The mlx-fork authors
//
// Command queues and their buffers. A queue has a thread that runs committed
// buffers one after another, so that a buffer may wait for an event that
// another queue, or the CPU, signals later.

#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "foundation/string.h"
#include "metal/encoder.h"
#include "metal/event.h"
#include "metal/types.h"
#include "objective_c/object.h"

namespace emu::host {

class CommandQueue;

class CommandBuffer : public Object {
 public:
  explicit CommandBuffer(CommandQueue& queue);
  ~CommandBuffer() override;

  ComputeEncoder* encoder(uint64_t dispatch_type);
  void encode_wait(SharedEvent* event, uint64_t value);
  void encode_signal(SharedEvent* event, uint64_t value);
  void add_handler(const void* block);
  void commit();
  void wait() const;
  void set_label(const String*) {}
  String* label() const {
    return nullptr;
  }

  uint64_t status() const;
  Error* error() const;

  // On the queue's thread.
  void run();

  static const Class& class_object();

 private:
  CommandQueue& queue_;
  // Each gives the fault that it met; empty for none.
  std::vector<std::function<std::string()>> commands_;
  std::vector<void*> handlers_;
  mutable std::mutex mutex_;
  mutable std::condition_variable done_;
  Status status_ = Status::not_enqueued;
  bool is_over_ = false; // its handlers, too
  std::string fault_;
};

class CommandQueue : public Object {
 public:
  CommandQueue() : Object(class_object()) {}
  ~CommandQueue() override;

  CommandBuffer* buffer();
  void add_residency_set(Object*) {}
  void set_label(const String*) {}
  void enqueue(CommandBuffer* buffer);

  static const Class& class_object();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Reference<CommandBuffer>> committed_;
  bool ends_ = false;
  std::thread thread_;
};

} // namespace emu::host
