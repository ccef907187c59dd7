// Copyright © 2026 The mlx-fork authors

#include <sstream>

#ifdef MLX_FUSED_METALLIB
#include <dlfcn.h>
#include <filesystem>
#endif

#include "mlx/allocator.h"
#include "mlx/backend/metal/device.h"
#include "mlx/fused/backend/metal/dispatch.h"

namespace mlx::core::fused {

namespace {

#ifdef MLX_FUSED_METALLIB
// An extension has a metallib of its own, beside its library.
std::string metallib_path() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&metallib_path), &info)) {
    throw std::runtime_error(
        "[fused::metallib_path] Unable to find the extension's own library.");
  }
  auto folder = std::filesystem::path(info.dli_fname).parent_path();
  return (folder / MLX_FUSED_METALLIB).string();
}

MTL::ComputePipelineState* get_kernel(
    metal::Device& d,
    const std::string& name,
    const std::string& specialized_name,
    const metal::MTLFCList& constants) {
  static const std::string path = metallib_path();
  auto library = d.get_library("mlx_fused", path);
  return d.get_kernel(name, library, specialized_name, constants);
}
#else
MTL::ComputePipelineState* get_kernel(
    metal::Device& d,
    const std::string& name,
    const std::string& specialized_name,
    const metal::MTLFCList& constants) {
  return d.get_kernel(name, specialized_name, constants);
}
#endif

MTL::ComputePipelineState* get_kernel(metal::Device& d, const Launch& launch) {
  // The encoder reads the values through pointers.
  struct Value {
    bool flag;
    int number;
  };
  std::vector<Value> values;
  for (auto& c : launch.constants) {
    values.push_back({c.value != 0, c.value});
  }
  metal::MTLFCList constants;
  for (size_t i = 0; i < values.size(); ++i) {
    auto& c = launch.constants[i];
    if (c.is_bool) {
      constants.push_back({&values[i].flag, MTL::DataTypeBool, c.index});
    } else {
      constants.push_back({&values[i].number, MTL::DataTypeInt, c.index});
    }
  }
  auto kernel =
      get_kernel(d, launch.kernel, launch.specialized_name(), constants);
  if (kernel->maxTotalThreadsPerThreadgroup() < launch.threads) {
    std::ostringstream msg;
    msg << "[" << launch.kernel << "] The device runs at most "
        << kernel->maxTotalThreadsPerThreadgroup()
        << " threads in a threadgroup of this kernel, which needs "
        << launch.threads << ".";
    throw std::runtime_error(msg.str());
  }
  return kernel;
}

// As GatherQMMParams has it.
int index_type(Dtype type) {
  switch (type) {
    case uint8:
      return 0;
    case uint16:
      return 1;
    case uint32:
      return 2;
    case uint64:
      return 3;
    case int8:
      return 4;
    case int16:
      return 5;
    case int32:
      return 6;
    default:
      return 7;
  }
}

} // namespace

Layout layout_of(const array& a) {
  return {
      {a.shape().begin(), a.shape().end()},
      {a.strides().begin(), a.strides().end()}};
}

QuantizedLayout layout_of(
    const array& w,
    const array& scales,
    const std::optional<array>& biases) {
  return {
      layout_of(w), layout_of(scales), biases ? layout_of(*biases) : Layout{}};
}

IndexLayout layout_of(
    const std::optional<array>& indices,
    const Shape& default_shape) {
  if (indices) {
    return {true, layout_of(*indices), index_type(indices->dtype())};
  }
  return {false, {{default_shape.begin(), default_shape.end()}, {}}, 0};
}

KernelFormat kernel_format(Dtype type, const Quantization& q, bool transpose) {
  auto name = type == float32 ? "float"
      : type == float16       ? "float16_t"
                              : "bfloat16_t";
  auto format = [&]() {
    switch (q.mode) {
      case QuantizationMode::Affine:
        return mlx::fused::QuantizedFormat::Affine;
      case QuantizationMode::Mxfp4:
        return mlx::fused::QuantizedFormat::Mxfp4;
      case QuantizationMode::Mxfp8:
        return mlx::fused::QuantizedFormat::Mxfp8;
      default:
        return mlx::fused::QuantizedFormat::Nvfp4;
    }
  }();
  return {name, format, q.group_size, q.bits, transpose};
}

void dispatch(
    const Launch& launch,
    const std::vector<array>& inputs,
    array& out,
    Stream s) {
  out.set_data(allocator::malloc(out.nbytes()));
  auto kernel = get_kernel(metal::device(s.device), launch);
  auto& encoder = metal::get_command_encoder(s);
  encoder.set_compute_pipeline_state(kernel);
  for (size_t i = 0; i < inputs.size(); ++i) {
    encoder.set_input_array(inputs[i], launch.inputs[i]);
  }
  encoder.set_output_array(out, launch.out);
  encoder.set_bytes(launch.params, launch.params_index);
  encoder.set_vector_bytes(launch.dims, launch.dims_index);
  encoder.dispatch_threadgroups(
      MTL::Size(launch.grid[0], launch.grid[1], launch.grid[2]),
      MTL::Size(launch.threads, 1, 1));
}

} // namespace mlx::core::fused
