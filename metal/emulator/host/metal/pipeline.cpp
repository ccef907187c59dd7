// Copyright © 2026 The mlx-fork authors

#include "metal/pipeline.h"

#include <utility>

namespace emu::host {

Pipeline::Pipeline(Kernel kernel)
    : Object(class_object()), kernel_(std::move(kernel)) {}

const Class& Pipeline::class_object() {
  static const Class type(
      "MTLComputePipelineState",
      &Object::class_object(),
      {method<&Pipeline::most_threads>("maxTotalThreadsPerThreadgroup"),
       method<&Pipeline::simd_width>("threadExecutionWidth")});
  return type;
}

} // namespace emu::host
