// Copyright © 2026 The mlx-fork authors
//
// What clang's -fblocks calls: blocks that outlive the scope that they are
// written in, with the variables that they capture by reference. The layouts
// are those of Clang's Block Implementation Specification.

#include "objective_c/blocks.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace emu::host {
namespace {

// Flags of blocks and of variables captured by reference, from the
// specification; the low half counts references, and is ours.
constexpr int32_t counts = 0xffff;
constexpr int32_t is_on_heap = 1 << 24;
constexpr int32_t has_helpers = 1 << 25;
constexpr int32_t is_global = 1 << 28;

// Kinds of captured things that helpers pass on.
constexpr int field_is_object = 3;
constexpr int field_is_block = 7;
constexpr int field_is_variable = 8;
constexpr int kinds = 15;

struct Descriptor {
  uintptr_t reserved;
  uintptr_t size;
  void (*copy)(void* copy, const void* original);
  void (*dispose)(const void* block);
};

struct Literal {
  void* isa;
  std::atomic<int32_t> flags;
  int32_t reserved;
  void (*invoke)(void*, ...);
  const Descriptor* descriptor;
};

// A __block variable: on the stack until the first copy of a block moves it.
struct Variable {
  void* isa;
  Variable* forwarding;
  std::atomic<int32_t> flags;
  int32_t size;
  void (*copy)(void* copy, void* original);
  void (*dispose)(void* variable);
};

Variable* share(Variable* variable) {
  auto* target = variable->forwarding;
  if (target->flags & is_on_heap) {
    ++target->flags;
    return target;
  }
  auto* copy = static_cast<Variable*>(malloc(variable->size));
  memcpy(static_cast<void*>(copy), variable, variable->size);
  // One reference for the block, one for the scope that the variable is from.
  copy->flags = (variable->flags & ~counts) | is_on_heap | 2;
  copy->forwarding = copy;
  variable->forwarding = copy;
  if (copy->flags & has_helpers) {
    copy->copy(copy, variable);
  }
  return copy;
}

void release(Variable* variable) {
  auto* target = variable->forwarding;
  if (!(target->flags & is_on_heap) || (--target->flags & counts) != 0) {
    return;
  }
  if (target->flags & has_helpers) {
    target->dispose(target);
  }
  free(target);
}

} // namespace

void* copy_block(const void* block) {
  auto* literal = static_cast<Literal*>(const_cast<void*>(block));
  if (!literal || literal->flags & is_global) {
    return literal;
  }
  if (literal->flags & is_on_heap) {
    ++literal->flags;
    return literal;
  }
  auto size = literal->descriptor->size;
  auto* copy = static_cast<Literal*>(malloc(size));
  memcpy(static_cast<void*>(copy), literal, size);
  copy->flags = (literal->flags & ~counts) | is_on_heap | 1;
  if (copy->flags & has_helpers) {
    literal->descriptor->copy(copy, literal);
  }
  return copy;
}

void release_block(const void* block) {
  auto* literal = static_cast<Literal*>(const_cast<void*>(block));
  if (!literal || !(literal->flags & is_on_heap) ||
      (--literal->flags & counts) != 0) {
    return;
  }
  if (literal->flags & has_helpers) {
    literal->descriptor->dispose(literal);
  }
  free(literal);
}

void call_block(const void* block, void* argument) {
  auto* literal = static_cast<Literal*>(const_cast<void*>(block));
  using Invoke = void (*)(void*, void*);
  reinterpret_cast<Invoke>(literal->invoke)(literal, argument);
}

} // namespace emu::host

#define EXPORTED extern "C" __attribute__((visibility("default")))

// Classes of blocks: only their addresses are used.
EXPORTED void* _NSConcreteStackBlock[32];
EXPORTED void* _NSConcreteGlobalBlock[32];
void* _NSConcreteStackBlock[32] = {};
void* _NSConcreteGlobalBlock[32] = {};

EXPORTED void
_Block_object_assign(void* place, const void* object, const int flags) {
  auto** target = static_cast<void**>(place);
  switch (flags & emu::host::kinds) {
    case emu::host::field_is_variable:
      *target = emu::host::share(
          static_cast<emu::host::Variable*>(const_cast<void*>(object)));
      break;
    case emu::host::field_is_block:
      *target = emu::host::copy_block(object);
      break;
    case emu::host::field_is_object:
    default:
      // metal-cpp's pointers are no objects to clang: nothing retains them.
      *target = const_cast<void*>(object);
  }
}

EXPORTED void _Block_object_dispose(const void* object, const int flags) {
  switch (flags & emu::host::kinds) {
    case emu::host::field_is_variable:
      emu::host::release(
          static_cast<emu::host::Variable*>(const_cast<void*>(object)));
      break;
    case emu::host::field_is_block:
      emu::host::release_block(object);
      break;
    default:
      break;
  }
}
