// Copyright © 2026 The mlx-fork authors

#include "objective_c/pool.h"

namespace emu::host {
namespace {

thread_local Pool* innermost = nullptr;

} // namespace

Pool::Pool() : Object(class_object()), outer_(innermost) {
  innermost = this;
}

Pool::~Pool() {
  // Objects that go may put others into the pool around this one.
  innermost = outer_;
  for (auto* object : objects_) {
    object->release();
  }
}

void Pool::add(Object* object) {
  if (innermost) {
    innermost->objects_.push_back(object);
  }
}

const Class& Pool::class_object() {
  static const Class type(
      "NSAutoreleasePool",
      &Object::class_object(),
      {method<&Pool::release>("drain")},
      {method<&allocate<Pool>>("alloc")});
  return type;
}

} // namespace emu::host
