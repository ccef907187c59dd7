// Copyright © 2026 The mlx-fork authors

#include "foundation/array.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace emu::host {

Array::Array(std::vector<Object*> objects)
    : Object(class_object()), objects_(std::move(objects)) {
  for (auto* object : objects_) {
    object->retain();
  }
}

Array::~Array() {
  for (auto* object : objects_) {
    object->release();
  }
}

Object* Array::at(uint64_t index) const {
  if (index >= objects_.size()) {
    fprintf(
        stderr,
        "mlx-fork: object %llu of an NSArray of %zu\n",
        static_cast<unsigned long long>(index),
        objects_.size());
    abort();
  }
  return objects_[index];
}

const Class& Array::class_object() {
  static const Class type(
      "NSArray",
      &Object::class_object(),
      {method<&Array::count>("count"), method<&Array::at>("objectAtIndex:")});
  return type;
}

} // namespace emu::host
