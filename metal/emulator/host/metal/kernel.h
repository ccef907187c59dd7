// Copyright © 2026 The mlx-fork authors
//
// Kernels as the tool compiles them: the program that MLX_FORK_EMULATOR names
// says where the result is.

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace emu::host {

// Bytes of function constants by index.
using Constants = std::map<uint64_t, std::string>;

struct KernelBuffer {
  uint64_t index;
  bool is_const;
  std::string name;
};

struct Kernel {
  std::string name;
  std::string source; // the library that MLX loaded it from
  std::string library; // a shared library of the driver's
  std::string driver; // the program that runs it
  std::vector<KernelBuffer> buffers;
  std::vector<uint64_t> threadgroup; // indices of its threadgroup arguments
  std::map<uint64_t, std::string> needed; // function constants that it reads
  Constants constants;
};

// The library has no kernel of this name.
struct NoSuchKernel : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws NoSuchKernel, or std::runtime_error with what the compiler said.
Kernel compile(const std::string& library, const std::string& name);

// A folder of this process for files that end with it.
const std::string& scratch();
void remove_scratch();

// The tool's words for what a launch's report says.
std::string explain(const std::string& report, const Kernel& kernel);

// What the program is told by its environment. They throw std::runtime_error
// for a value that is none.
enum class Mode { plain, checked };
Mode mode();
uint64_t seed();
// How long a launch may take, or a queue wait for an event.
int limit_seconds();
// Kinds of faults that don't end a launch, as reports name them.
const std::set<std::string>& tolerated_faults();

} // namespace emu::host
