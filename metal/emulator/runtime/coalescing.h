// Copyright © 2026 The mlx-fork authors
//
// How well the accesses of a SIMD group's threads lie together: the n-th access
// of each thread by one instruction is one access of the group.

#pragma once

#include <cstdint>
#include <vector>

#include "report.h"

namespace emu {

class Worker;
struct Region;

void log_access(
    const Worker& worker,
    const Region& region,
    uint64_t at,
    uint32_t size,
    bool write,
    const void* pc);

// What was logged, by instruction and buffer.
std::vector<LoadSummary> summarise_loads();

} // namespace emu
