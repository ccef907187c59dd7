// Copyright © 2026 The mlx-fork authors
//
// One launch as the host code asked for it, and its run by the driver: what is
// bound goes into files and a job, and what the kernel wrote comes back.

#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "metal/pipeline.h"
#include "metal/resource.h"
#include "metal/types.h"

namespace emu::host {

// What setBuffer or setBytes put at an index.
struct Binding {
  Buffer* buffer = nullptr; // not retained: MLX keeps what a launch uses
  uint64_t offset = 0;
  std::string bytes; // where there is no buffer
};

struct Launch {
  Reference<Pipeline> pipeline;
  std::map<uint64_t, Binding> bindings;
  std::map<uint64_t, uint64_t> threadgroup; // bytes by index
  Size grid; // threadgroups; threads where `counts_threads`
  Size group; // threads
  bool counts_threads;
};

// What is wrong with what the host asks for, before anything runs: each rule is
// one that Metal has. Empty where nothing is.
std::string check(const Launch& launch);

// Runs it to its end. Gives the faults; empty where there are none.
std::string run(const Launch& launch);

// As reports call it: the kernel's name, grid and threadgroup.
std::string describe(const Launch& launch);

} // namespace emu::host
