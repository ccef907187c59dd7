// Copyright © 2026 The mlx-fork authors

#include "blocks.h"

#include <vector>

#include "group.h"
#include "library.h"

namespace emu {
namespace {

// By offset in the library: a table is quicker than a map for each block.
std::vector<uint32_t> slots;
std::vector<uint64_t> counts;
std::vector<uint32_t> offsets;

} // namespace

void count_block(const void* pc) {
  if (!Worker::current()) {
    return;
  }
  uint32_t offset = library_offset(pc);
  if (offset >= slots.size()) {
    slots.resize(size_t(offset) * 2 + 4096, 0);
  }
  auto& slot = slots[offset];
  if (slot == 0) {
    counts.push_back(0);
    offsets.push_back(offset);
    slot = uint32_t(counts.size());
  }
  ++counts[slot - 1];
}

std::map<const void*, uint64_t> block_counts() {
  std::map<const void*, uint64_t> blocks;
  for (size_t i = 0; i < counts.size(); ++i) {
    blocks[library_address(offsets[i])] = counts[i];
  }
  return blocks;
}

} // namespace emu
