// Copyright © 2026 The mlx-fork authors
//
// MTLDevice: the one device, which says that it is a GPU of Apple's and makes
// everything else.

#pragma once

#include "foundation/array.h"
#include "foundation/string.h"
#include "metal/command_buffer.h"
#include "metal/library.h"
#include "metal/pipeline.h"
#include "metal/resource.h"
#include "objective_c/object.h"

namespace emu::host {

class Architecture : public Object {
 public:
  Architecture() : Object(class_object()) {}
  String* name() const;
  static const Class& class_object();
};

class Device : public Object {
 public:
  Device() : Object(class_object()) {}
  static Device& only();

  String* name() const;
  Architecture* architecture() const;
  uint64_t max_buffer_length() const;
  uint64_t working_set_size() const;
  bool supports_family(int64_t family) const;

  CommandQueue* new_queue();
  Buffer* new_buffer(uint64_t length, uint64_t options);
  Buffer* new_buffer_no_copy(
      void* memory,
      uint64_t length,
      uint64_t options,
      const void* deallocator);
  Heap* new_heap(const HeapDescriptor* descriptor);
  ResidencySet* new_residency_set(
      const ResidencySetDescriptor* descriptor,
      Error** error);
  Fence* new_fence();
  SharedEvent* new_shared_event();
  Pipeline* new_pipeline(const MetalFunction* function, Error** error);

  static const Class& class_object();
};

// Bytes of memory that the machine has.
uint64_t machine_memory();

} // namespace emu::host
