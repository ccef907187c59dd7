// Copyright © 2026 The mlx-fork authors
//
// NSAutoreleasePool: a thread's pools, each released with what came into it.

#pragma once

#include <vector>

#include "objective_c/object.h"

namespace emu::host {

class Pool : public Object {
 public:
  Pool();
  ~Pool() override;

  // Into the thread's innermost pool; without one the object is never released.
  static void add(Object* object);
  static const Class& class_object();

 private:
  Pool* outer_;
  std::vector<Object*> objects_;
};

} // namespace emu::host
