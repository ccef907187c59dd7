// Devices, and the vector extensions of the processor.

#include <algorithm>
#include <vector>

#include "internal.h"
#include "mlx/device.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

using namespace mlx_fork;

namespace {

mx::Device device_in(mlx_fork_device device) {
  switch (device) {
    case MLX_FORK_CPU:
      return mx::Device(mx::Device::cpu);
    case MLX_FORK_GPU:
      return mx::Device(mx::Device::gpu);
  }
  throw std::invalid_argument(
      "argument 'device' is " + std::to_string(static_cast<int>(device)) +
      ", which is neither MLX_FORK_CPU nor MLX_FORK_GPU");
}

mx::Device available(mlx_fork_device device) {
  const mx::Device wanted = device_in(device);
  if (!mx::is_available(wanted)) {
    throw std::invalid_argument(
        std::string("this MLX has no ") +
        (device == MLX_FORK_GPU ? "GPU" : "CPU") + " device");
  }
  return wanted;
}

std::string find_cpu_features() {
  std::vector<const char*> found;
#if defined(__x86_64__) || defined(__i386__)
  // The argument must be a literal.
#define FEATURE(name)                 \
  if (__builtin_cpu_supports(name)) { \
    found.push_back(name);            \
  }
  __builtin_cpu_init();
  FEATURE("sse4.2")
  FEATURE("avx")
  FEATURE("avx2")
  FEATURE("fma")
  FEATURE("f16c")
  FEATURE("avx512f")
  FEATURE("avx512bw")
  FEATURE("avx512vl")
  FEATURE("avx512vnni")
  FEATURE("avx512bf16")
#undef FEATURE
#elif defined(__aarch64__) && defined(__linux__)
  // Bit numbers of the kernel's AT_HWCAP and AT_HWCAP2, which never change.
  const unsigned long hwcap = getauxval(AT_HWCAP);
  const unsigned long hwcap2 = getauxval(AT_HWCAP2);
  const struct {
    unsigned long word;
    int bit;
    const char* name;
  } features[] = {
      {hwcap, 1, "neon"},
      {hwcap, 10, "fp16"},
      {hwcap, 20, "dotprod"},
      {hwcap, 22, "sve"},
      {hwcap2, 13, "i8mm"},
      {hwcap2, 14, "bf16"}};
  for (const auto& feature : features) {
    if ((feature.word >> feature.bit) & 1) {
      found.push_back(feature.name);
    }
  }
#elif defined(__aarch64__) && defined(__APPLE__)
  const struct {
    const char* key;
    const char* name;
  } features[] = {
      {"hw.optional.AdvSIMD", "neon"},
      {"hw.optional.arm.FEAT_FP16", "fp16"},
      {"hw.optional.arm.FEAT_DotProd", "dotprod"},
      {"hw.optional.arm.FEAT_I8MM", "i8mm"},
      {"hw.optional.arm.FEAT_BF16", "bf16"}};
  for (const auto& feature : features) {
    int value = 0;
    size_t size = sizeof(value);
    if (sysctlbyname(feature.key, &value, &size, nullptr, 0) == 0 && value) {
      found.push_back(feature.name);
    }
  }
#endif
  std::string text;
  for (const char* name : found) {
    text += text.empty() ? "" : " ";
    text += name;
  }
  return text;
}

} // namespace

int mlx_fork_device_count(int* result, mlx_fork_device device) {
  return guarded([&] {
    pointed(result, "result") = mx::device_count(device_in(device).type);
  });
}

int mlx_fork_default_device(mlx_fork_device* result) {
  return guarded([&] {
    pointed(result, "result") =
        mx::default_device() == mx::Device::gpu ? MLX_FORK_GPU : MLX_FORK_CPU;
  });
}

int mlx_fork_set_default_device(mlx_fork_device device) {
  return guarded([&] { mx::set_default_device(available(device)); });
}

int mlx_fork_device_info(const char** result, mlx_fork_device device) {
  return guarded([&] {
    pointed(result, "result");
    std::vector<std::string> lines;
    for (const auto& [key, value] : mx::device_info(available(device))) {
      lines.push_back(key + "=");
      if (const auto* text = std::get_if<std::string>(&value)) {
        lines.back() += *text;
      } else {
        lines.back() += std::to_string(std::get<size_t>(value));
      }
    }
    std::sort(lines.begin(), lines.end());
    thread_local std::string text;
    text.clear();
    for (const auto& line : lines) {
      text += line + "\n";
    }
    *result = text.c_str();
  });
}

const char* mlx_fork_cpu_features(void) {
  static const std::string features = find_cpu_features();
  return features.c_str();
}
