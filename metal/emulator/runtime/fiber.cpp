// Copyright © 2026 The mlx-fork authors

#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>

#include "job.h"

namespace emu {
namespace {

constexpr size_t guard = 16384; // a page of any system
constexpr size_t stride = size_t(256) << 10;

} // namespace

#if defined(__APPLE__)
#define EMU_SYMBOL(name) "_" name
#else
#define EMU_SYMBOL(name) name
#endif

#if defined(__x86_64__)
constexpr size_t saved_registers = 6;
__asm__(".text\n.globl " EMU_SYMBOL("emu_switch_stack") "\n" EMU_SYMBOL(
    "emu_switch_stack") ":\n"
                        "  pushq %rbp\n"
                        "  pushq %rbx\n"
                        "  pushq %r12\n"
                        "  pushq %r13\n"
                        "  pushq %r14\n"
                        "  pushq %r15\n"
                        "  movq %rsp, (%rdi)\n"
                        "  movq %rsi, %rsp\n"
                        "  popq %r15\n"
                        "  popq %r14\n"
                        "  popq %r13\n"
                        "  popq %r12\n"
                        "  popq %rbx\n"
                        "  popq %rbp\n"
                        "  retq\n");
#elif defined(__aarch64__)
// x19 to x28, x29, x30 (where to return), d8 to d15.
constexpr size_t saved_registers = 20;
__asm__(".text\n.globl " EMU_SYMBOL("emu_switch_stack") "\n.p2align 2\n" EMU_SYMBOL(
    "emu_switch_stack") ":\n"
                        "  sub sp, sp, #160\n"
                        "  stp x19, x20, [sp, #0]\n"
                        "  stp x21, x22, [sp, #16]\n"
                        "  stp x23, x24, [sp, #32]\n"
                        "  stp x25, x26, [sp, #48]\n"
                        "  stp x27, x28, [sp, #64]\n"
                        "  stp x29, x30, [sp, #80]\n"
                        "  stp d8, d9, [sp, #96]\n"
                        "  stp d10, d11, [sp, #112]\n"
                        "  stp d12, d13, [sp, #128]\n"
                        "  stp d14, d15, [sp, #144]\n"
                        "  mov x9, sp\n"
                        "  str x9, [x0]\n"
                        "  mov sp, x1\n"
                        "  ldp x19, x20, [sp, #0]\n"
                        "  ldp x21, x22, [sp, #16]\n"
                        "  ldp x23, x24, [sp, #32]\n"
                        "  ldp x25, x26, [sp, #48]\n"
                        "  ldp x27, x28, [sp, #64]\n"
                        "  ldp x29, x30, [sp, #80]\n"
                        "  ldp d8, d9, [sp, #96]\n"
                        "  ldp d10, d11, [sp, #112]\n"
                        "  ldp d12, d13, [sp, #128]\n"
                        "  ldp d14, d15, [sp, #144]\n"
                        "  add sp, sp, #160\n"
                        "  ret\n");
#else
#error "The emulator switches stacks on x86-64 and AArch64 only"
#endif

Stacks::Stacks(size_t count) : count_(count) {
  void* memory = mmap(
      nullptr,
      stride * count,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANON | MAP_NORESERVE,
      -1,
      0);
  if (memory == MAP_FAILED) {
    bad_job("there is no memory for the stacks of a threadgroup's threads");
  }
  memory_ = static_cast<unsigned char*>(memory);
  for (size_t fiber = 0; fiber < count; ++fiber) {
    if (mprotect(memory_ + fiber * stride, guard, PROT_NONE) != 0) {
      bad_job("the stacks of a threadgroup's threads can't be guarded");
    }
  }
}

Stacks::~Stacks() {
  munmap(memory_, stride * count_);
}

void* Stacks::enter(size_t fiber, void (*entry)()) const {
  // Tops that differ in their low bits: at equal ones all stacks would share a
  // few sets of the cache.
  size_t color = (fiber % 61) * 192;
  auto top = reinterpret_cast<uintptr_t>(memory_ + (fiber + 1) * stride);
  auto* stack = reinterpret_cast<void**>((top - color) & ~uintptr_t(15));
#if defined(__x86_64__)
  *--stack = nullptr; // as after a call: 8 off a multiple of 16
  *--stack = reinterpret_cast<void*>(entry);
  for (size_t i = 0; i < saved_registers; ++i) {
    *--stack = nullptr;
  }
#else
  for (size_t i = 0; i < saved_registers; ++i) {
    *--stack = nullptr;
  }
  stack[11] = reinterpret_cast<void*>(entry);
#endif
  return stack;
}

bool Stacks::overflowed(const void* address) const {
  auto offset = reinterpret_cast<uintptr_t>(address) -
      reinterpret_cast<uintptr_t>(memory_);
  return offset < stride * count_ && offset % stride < guard;
}

} // namespace emu
