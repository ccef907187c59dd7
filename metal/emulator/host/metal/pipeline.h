// Copyright © 2026 The mlx-fork authors
//
// A compute pipeline: a kernel that can be launched.

#pragma once

#include "metal/kernel.h"
#include "metal/types.h"
#include "objective_c/object.h"

namespace emu::host {

class Pipeline : public Object {
 public:
  explicit Pipeline(Kernel kernel);

  const Kernel& kernel() const {
    return kernel_;
  }
  uint64_t most_threads() const {
    return emu::host::most_threads;
  }
  uint64_t simd_width() const {
    return 32;
  }

  static const Class& class_object();

 private:
  Kernel kernel_;
};

} // namespace emu::host
