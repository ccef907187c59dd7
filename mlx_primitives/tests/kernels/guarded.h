// Copyright © 2026 The mlx-fork authors
//
// Buffers that end where a page begins that no one may touch: who reads or
// writes beyond one is stopped by the processor.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace kernel_tests {

class Guarded {
 public:
  explicit Guarded(size_t capacity) {
    size_t page = sysconf(_SC_PAGESIZE);
    size_ = (capacity + before + page - 1) / page * page;
    void* p = mmap(
        nullptr,
        size_ + page,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0);
    begin_ = static_cast<uint8_t*>(p);
    if (p == MAP_FAILED || mprotect(begin_ + size_, page, PROT_NONE) != 0) {
      std::perror("making a guarded buffer");
      std::exit(2);
    }
  }

  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  ~Guarded() {
    munmap(begin_, size_ + sysconf(_SC_PAGESIZE));
  }

  /**
   * n values up to the guard. Every byte of them and of what precedes them is
   * `fill`; 255 makes NaNs of all floats. What was placed before is gone.
   */
  template <typename T>
  T* place(size_t n, uint8_t fill = 255) {
    size_t bytes = n * sizeof(T);
    if (bytes + before > size_) {
      std::printf("FAILED: a buffer of %zu bytes in %zu\n", bytes, size_);
      std::exit(2);
    }
    fill_ = fill;
    placed_ = begin_ + size_ - bytes;
    std::memset(placed_ - before, fill, bytes + before);
    return reinterpret_cast<T*>(placed_);
  }

  /** The same with the values of a vector. */
  template <typename V>
  typename V::value_type* copy(const V& values) {
    auto p = place<typename V::value_type>(values.size());
    std::copy(values.begin(), values.end(), p);
    return p;
  }

  /** Whether nothing was written before the values. */
  bool intact() const {
    return std::all_of(
        placed_ - before, placed_, [&](uint8_t b) { return b == fill_; });
  }

 private:
  static constexpr size_t before = 64;

  uint8_t* begin_;
  uint8_t* placed_{nullptr};
  size_t size_;
  uint8_t fill_{0};
};

} // namespace kernel_tests
