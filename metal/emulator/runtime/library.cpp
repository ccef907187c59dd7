// Copyright © 2026 The mlx-fork authors

#include "library.h"

#include <dlfcn.h>

#include <cstring>

#include "job.h"

namespace emu {
namespace {

uintptr_t base = 0;
bool checked = false;

constexpr uint32_t largest_offset = 1u << 31;

} // namespace

const Kernel& load_kernel(const std::string& path, const std::string& name) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    bad_job(std::string("can't load the kernel's library: ") + dlerror());
  }
  auto* kernels = static_cast<const Kernel*>(dlsym(library, "emu_kernels"));
  auto* count =
      static_cast<const unsigned*>(dlsym(library, "emu_kernel_count"));
  if (!kernels || !count) {
    bad_job(path + " is not a library of kernels");
  }
  Dl_info about;
  if (dladdr(kernels, &about) == 0) {
    bad_job("can't tell where " + path + " was loaded");
  }
  base = reinterpret_cast<uintptr_t>(about.dli_fbase);
  for (unsigned i = 0; i < *count; ++i) {
    if (name == kernels[i].name) {
      return kernels[i];
    }
  }
  bad_job("there is no kernel " + name + " in " + path);
}

bool library_is_checked() {
  return checked;
}

void mark_library_checked() {
  checked = true;
}

uint32_t library_offset(const void* pc) {
  return uint32_t(reinterpret_cast<uintptr_t>(pc) - base);
}

const void* library_address(uint32_t offset) {
  return reinterpret_cast<const void*>(base + offset);
}

bool in_library(const void* pc) {
  return base != 0 && reinterpret_cast<uintptr_t>(pc) - base < largest_offset;
}

} // namespace emu
