// Copyright © 2026 The mlx-fork authors
//
// Fibers: stacks of their own that hand the processor to each other, without
// the operating system. Not when: that is the scheduler's.

#pragma once

#include <cstddef>

namespace emu {

// Saves the callee-saved registers on this stack and goes on with another.
extern "C" void emu_switch_stack(void** save, void* resume);

// The stacks of the threads of one threadgroup, each with a page below it that
// stops an overflow.
class Stacks {
 public:
  explicit Stacks(size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // A stack pointer that enters `entry` when it is switched to.
  void* enter(size_t fiber, void (*entry)()) const;

  // True where `address` is in the page below a stack.
  bool overflowed(const void* address) const;

 private:
  unsigned char* memory_;
  size_t count_;
};

} // namespace emu
