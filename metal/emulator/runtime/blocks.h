// Copyright © 2026 The mlx-fork authors
//
// How often each block of a checked kernel's instructions ran: from that and
// the instructions themselves the tool counts floating-point operations.

#pragma once

#include <cstdint>
#include <map>

namespace emu {

void count_block(const void* pc);

// By the address after the call at the block's start.
std::map<const void*, uint64_t> block_counts();

} // namespace emu
