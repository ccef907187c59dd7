// Copyright © 2026 The mlx-fork authors

#include "objective_c/object.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>

#include "objective_c/classes.h"
#include "objective_c/pool.h"

namespace emu::host {
namespace {

const char* name_of(SEL selector) {
  return reinterpret_cast<const char*>(selector);
}

// What a message to nil comes to.
extern "C" uintptr_t emu_host_nothing() {
#if defined(__x86_64__)
  __asm__ volatile("xorps %%xmm0, %%xmm0" : : : "xmm0");
#else
  __asm__ volatile("movi d0, #0" : : : "v0");
#endif
  return 0;
}

[[noreturn]] void no_method(const Object& receiver, SEL selector) {
  const Class& type = receiver.type();
  fprintf(
      stderr,
      "mlx-fork: the emulated Metal has no %c[%s %s]\n",
      type.is_meta() ? '+' : '-',
      type.name(),
      name_of(selector));
  abort();
}

} // namespace

Object* Object::retain() {
  references_.fetch_add(1, std::memory_order_relaxed);
  return this;
}

void Object::release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete this;
  }
}

Object* Object::autorelease() {
  Pool::add(this);
  return this;
}

bool Object::responds_to(SEL selector) const {
  return type().find(selector) != nullptr;
}

const Class& Object::class_object() {
  static const Class type(
      "NSObject",
      nullptr,
      {method<&Object::retain>("retain"),
       method<&Object::release>("release"),
       method<&Object::autorelease>("autorelease"),
       method<&Object::reference_count>("retainCount"),
       method<&Object::self>("init"),
       method<&Object::responds_to>("respondsToSelector:")});
  return type;
}

Class::Class(
    const char* name,
    const Class* super,
    std::initializer_list<Method> methods,
    bool is_meta)
    : Object(*this), name_(name), is_meta_(is_meta) {
  if (super) {
    methods_ = super->methods_;
  }
  add(methods);
}

Class::Class(
    const char* name,
    const Class* super,
    std::initializer_list<Method> methods,
    std::initializer_list<Method> class_methods)
    : Object(*new Class(
          name,
          super ? &super->type() : nullptr,
          class_methods,
          true)),
      name_(name),
      is_meta_(false) {
  if (super) {
    methods_ = super->methods_;
  }
  add(methods);
}

void Class::add(std::initializer_list<Method> methods) {
  for (const auto& method : methods) {
    methods_[sel_registerName(method.selector)] = method.function;
  }
}

Function Class::find(SEL selector) const {
  auto found = methods_.find(selector);
  return found == methods_.end() ? nullptr : found->second;
}

extern "C" Function emu_host_find_method(const Object* receiver, SEL selector) {
  if (!receiver) {
    return reinterpret_cast<Function>(&emu_host_nothing);
  }
  if (auto function = receiver->type().find(selector)) {
    return function;
  }
  no_method(*receiver, selector);
}

} // namespace emu::host

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED SEL sel_registerName(const char* name) {
  static std::mutex mutex;
  static auto& names = *new std::unordered_set<std::string>;
  std::lock_guard<std::mutex> lock(mutex);
  // A set's strings stay where they are.
  auto* text = names.insert(name).first->c_str();
  return reinterpret_cast<SEL>(const_cast<char*>(text));
}

EXPORTED void* objc_getProtocol(const char*) {
  return nullptr;
}

EXPORTED void* objc_lookUpClass(const char* name) {
  return const_cast<emu::host::Class*>(emu::host::class_named(name));
}
