// Copyright © 2026 The mlx-fork authors

#include "coalescing.h"

#include <algorithm>
#include <map>
#include <utility>

#include "group.h"

namespace emu {
namespace {

constexpr uint64_t line = 128; // bytes of a cache line of Apple's GPUs

struct Logged {
  uint64_t simd; // of the grid
  const void* pc;
  const Region* region;
  bool write;
  uint32_t lane;
  uint32_t size;
  uint64_t at;
};

std::vector<Logged> accesses;

using Span = std::pair<uint64_t, uint64_t>; // start, end

uint64_t distinct_bytes(std::vector<Span>& spans) {
  std::sort(spans.begin(), spans.end());
  uint64_t bytes = 0;
  uint64_t end = 0;
  for (auto [from, to] : spans) {
    from = std::max(from, end);
    if (to > from) {
      bytes += to - from;
      end = to;
    }
  }
  return bytes;
}

uint64_t lines_of(const std::vector<Span>& spans) {
  std::vector<uint64_t> touched;
  for (auto [from, to] : spans) {
    for (uint64_t i = from / line; i <= (to - 1) / line; ++i) {
      touched.push_back(i);
    }
  }
  std::sort(touched.begin(), touched.end());
  return uint64_t(
      std::unique(touched.begin(), touched.end()) - touched.begin());
}

} // namespace

void log_access(
    const Worker& worker,
    const Region& region,
    uint64_t at,
    uint32_t size,
    bool write,
    const void* pc) {
  const auto& thread = worker.running().thread;
  uint64_t simd =
      worker.group_index() * thread.dispatch_simdgroups_per_threadgroup +
      thread.simdgroup_index_in_threadgroup;
  if (simd < const_cast<Worker&>(worker).launch().job.coalescing) {
    accesses.push_back(
        {simd, pc, &region, write, thread.thread_index_in_simdgroup, size, at});
  }
}

std::vector<LoadSummary> summarise_loads() {
  // For each instruction: each SIMD group's turns, a turn its threads' spans.
  using Place = std::pair<const void*, const Region*>;
  using Turn = std::pair<uint64_t, uint32_t>;
  std::map<Place, std::map<Turn, std::vector<Span>>> places;
  std::map<std::tuple<Place, uint64_t, uint32_t>, uint32_t> turns;
  std::map<Place, bool> writes;
  for (const auto& access : accesses) {
    Place place{access.pc, access.region};
    uint32_t turn = turns[{place, access.simd, access.lane}]++;
    places[place][{access.simd, turn}].push_back(
        {access.at, access.at + access.size});
    writes[place] = access.write;
  }
  std::vector<LoadSummary> summaries;
  for (auto& [place, groups] : places) {
    LoadSummary summary;
    summary.pc = place.first;
    summary.buffer = place.second->name;
    summary.write = writes[place];
    for (auto& [turn, spans] : groups) {
      ++summary.accesses;
      summary.threads += spans.size();
      for (auto [from, to] : spans) {
        summary.thread_bytes += to - from;
      }
      summary.lines += lines_of(spans);
      summary.distinct_bytes += distinct_bytes(spans);
    }
    summaries.push_back(std::move(summary));
  }
  return summaries;
}

} // namespace emu
