// Copyright © 2026 The mlx-fork authors
//
// Judges each access to memory of a checked kernel: bounds, alignment, races,
// what was never written; and counts it.

#pragma once

#include <cstdint>

#include "memory.h"
#include "shadow.h"

namespace emu {

// An access of the running thread from the instruction at `pc`. `alignment` is
// what the type asks of the address.
void on_access(
    const void* address,
    uint32_t size,
    Access access,
    uint32_t alignment,
    const void* pc);

// Forgets what was done to a region: it belongs to another threadgroup now.
void forget_accesses(Region& region);

// Adds what the region counted for this threadgroup to the launch's.
void collect_counts(Region& region);

// Makes what a buffer's accesses are written down in.
void watch(Region& region);

uint64_t threadgroup_bytes_read();
uint64_t threadgroup_bytes_written();

} // namespace emu
