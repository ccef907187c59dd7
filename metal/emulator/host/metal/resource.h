// Copyright © 2026 The mlx-fork authors
//
// Memory: buffers, the heap that MLX takes small ones from, and residency sets.

#pragma once

#include <atomic>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "foundation/array.h"
#include "foundation/string.h"
#include "objective_c/object.h"

namespace emu::host {

class Heap;

class Buffer : public Object {
 public:
  // New memory, filled with `Buffer::poison`.
  Buffer(uint64_t length, Heap* heap);
  // The caller's memory.
  Buffer(void* memory, uint64_t length);
  ~Buffer() override;

  std::byte* contents() const {
    return memory_;
  }
  uint64_t length() const {
    return length_;
  }
  Heap* heap() const {
    return heap_;
  }
  // A path at which other processes find the memory; empty where there is none.
  // Large buffers have one, so that launches need no copy of what they only
  // read.
  std::string path() const;

  // A launch that is not over uses it: to free it now is a fault.
  void use() const {
    ++users_;
  }
  void end_use() const {
    --users_;
  }

  // What fresh memory holds, repeated: NaN as any floating-point type.
  static constexpr uint64_t poison = 0xfff3fff5fff7fffbu;

  static const Class& class_object();

 private:
  void allocate();

  std::byte* memory_ = nullptr;
  uint64_t length_; // bytes
  Heap* heap_;
  bool is_ours_;
  int file_ = -1; // what large memory is a mapping of
  mutable std::atomic<int64_t> users_{0};
};

// True where nothing has been written to a buffer: it is all poison still.
bool is_untouched(const Buffer& buffer);

class HeapDescriptor : public Object {
 public:
  HeapDescriptor() : Object(class_object()) {}
  void set_size(uint64_t bytes) {
    size_ = bytes;
  }
  void set_options(uint64_t) {}
  uint64_t size() const {
    return size_;
  }

  static const Class& class_object();

 private:
  uint64_t size_ = 0;
};

// Says yes to buffers until its size is given away. Each has memory of its own,
// so that an access beyond one is not an access to another.
class Heap : public Object {
 public:
  explicit Heap(uint64_t size) : Object(class_object()), size_(size) {}
  Buffer* new_buffer(uint64_t length, uint64_t options);
  void give_back(uint64_t length) {
    used_ -= length;
  }
  uint64_t size() const {
    return size_;
  }

  static const Class& class_object();

 private:
  uint64_t size_;
  std::atomic<uint64_t> used_{0};
};

class ResidencySetDescriptor : public Object {
 public:
  ResidencySetDescriptor() : Object(class_object()) {}
  static const Class& class_object();
};

// Keeps account, and has no other effect: all memory is resident.
class ResidencySet : public Object {
 public:
  ResidencySet() : Object(class_object()) {}
  ~ResidencySet() override;

  void add(Object* allocation);
  void remove(Object* allocation);
  void commit() {}
  void request() {}
  uint64_t size() const; // bytes
  uint64_t count() const {
    return allocations_.size();
  }
  Array* all() const;

  static const Class& class_object();

 private:
  std::set<Object*> allocations_;
};

} // namespace emu::host
