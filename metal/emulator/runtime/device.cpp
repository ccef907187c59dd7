// Copyright © 2026 The mlx-fork authors
//
// The functions of device.h, for the thread that runs.

#include "emulator/device.h"

#include <utility>

#include "group.h"

namespace emu {

extern const Job* the_job;

SimdTable& simd_exchange(
    const char* op,
    Site site,
    const void* value,
    uint32_t size,
    void (*finish)(SimdTable&)) {
  return Worker::current()->exchange(op, site, value, size, finish);
}

uint32_t simd_lane() {
  return Worker::current()->thread_index() % 32;
}

Reduction reduction_order() {
  return the_job->reduction;
}

void threadgroup_barrier(uint32_t flags, Site site) {
  Worker::current()->barrier(flags, site);
}

void simdgroup_barrier(uint32_t flags, Site site) {
  Worker::current()->simd_barrier(flags, site);
}

void fault(const char* kind, const char* message, Site site) {
  auto& worker = *Worker::current();
  auto fault = worker.fault_here(kind, message);
  fault.file = site.file;
  fault.line = site.line;
  worker.stop(std::move(fault));
}

void* threadgroup_storage(
    uint32_t id,
    const void* tag,
    const char* name,
    size_t size,
    size_t align) {
  return Worker::current()->storage(id, tag, name, size, align);
}

const void*
function_constant_value(uint32_t index, const char* name, size_t size) {
  auto found = the_job->constants.find(index);
  if (found == the_job->constants.end()) {
    return nullptr;
  }
  if (found->second.size() != size) {
    bad_job(
        "function constant " + std::to_string(index) + " (" + name + ") has " +
        std::to_string(size) + " bytes, and the job gives it " +
        std::to_string(found->second.size()));
  }
  return found->second.data();
}

bool function_constant_defined(uint32_t index) {
  return the_job->constants.count(index) != 0;
}

} // namespace emu
