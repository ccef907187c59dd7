// Copyright © 2026 The mlx-fork authors
//
// Blocks, as clang's -fblocks lays them out: kept beyond their scope, and
// called.

#pragma once

namespace emu::host {

// A block that lasts until its release.
void* copy_block(const void* block);
void release_block(const void* block);

// Calls a block that takes one pointer.
void call_block(const void* block, void* argument);

} // namespace emu::host
