// Copyright © 2026 The mlx-fork authors
//
// MTLComputeCommandEncoder: takes down launches as the host code encodes them.
// Those between two barriers may overlap on a GPU, so they run in an order that
// the seed chooses: a barrier that is lacking shows as a wrong result.

#pragma once

#include <set>
#include <string>
#include <vector>

#include "metal/launch.h"
#include "objective_c/object.h"

namespace emu::host {

class ComputeEncoder : public Object {
 public:
  explicit ComputeEncoder(bool concurrent);
  ~ComputeEncoder() override;

  void set_pipeline(Pipeline* pipeline);
  void set_buffer(Buffer* buffer, uint64_t offset, uint64_t index);
  void set_bytes(const void* bytes, uint64_t length, uint64_t index);
  void set_threadgroup_memory(uint64_t length, uint64_t index);
  void dispatch_threadgroups(Size threadgroups, Size threads);
  void dispatch_threads(Size grid, Size threads);
  void barrier(uint64_t scope);
  void use_fence(Object*) {}
  void end() {}
  void set_label(Object*) {}

  // Runs all launches. Gives the first fault.
  std::string run();

  static const Class& class_object();

 private:
  void add(Size grid, Size group, bool counts_threads);
  static void end_uses(const Launch& launch);

  bool concurrent_;
  Launch next_;
  std::set<uint64_t> used_; // indices whose bindings a launch has used
  std::set<uint64_t> stale_; // and since then another kernel was set
  // Those that nothing orders among themselves, one list after another.
  std::vector<std::vector<Launch>> launches_;
  std::string fault_; // of the encoding
};

} // namespace emu::host
