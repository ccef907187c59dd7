// Copyright © 2026 The mlx-fork authors

#include "metal/device.h"

#include <unistd.h>

#include "metal/types.h"

namespace emu::host {
namespace {

// An M3: Apple's ninth family of GPUs, before the one with neural accelerators,
// whose kernels use what the emulator lacks.
constexpr const char* architecture_name = "applegpu_g15g";
constexpr int64_t newest_apple_family = 1009;
constexpr int64_t first_apple_family = 1001;
constexpr int64_t metal3_family = 5001;

// Pages of Apple's: memory that is used without a copy is whole ones.
constexpr uint64_t page = 16384;

Object* autoreleased(Object* object) {
  return object->autorelease();
}

} // namespace

uint64_t machine_memory() {
  return uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE));
}

String* Architecture::name() const {
  return static_cast<String*>(autoreleased(new String(architecture_name)));
}

const Class& Architecture::class_object() {
  static const Class type(
      "MTLArchitecture",
      &Object::class_object(),
      {method<&Architecture::name>("name")});
  return type;
}

Device& Device::only() {
  static auto& device = *new Device;
  return device;
}

String* Device::name() const {
  return static_cast<String*>(
      autoreleased(new String("mlx-fork emulated GPU")));
}

Architecture* Device::architecture() const {
  return static_cast<Architecture*>(autoreleased(new Architecture));
}

uint64_t Device::max_buffer_length() const {
  return machine_memory() / 2;
}

uint64_t Device::working_set_size() const {
  return machine_memory() / 4 * 3;
}

bool Device::supports_family(int64_t family) const {
  return family == metal3_family ||
      (family >= first_apple_family && family <= newest_apple_family);
}

CommandQueue* Device::new_queue() {
  return new CommandQueue;
}

Buffer* Device::new_buffer(uint64_t length, uint64_t) {
  return length == 0 || length > max_buffer_length()
      ? nullptr
      : new Buffer(length, nullptr);
}

Buffer* Device::new_buffer_no_copy(
    void* memory,
    uint64_t length,
    uint64_t,
    const void*) {
  bool fits = reinterpret_cast<uintptr_t>(memory) % page == 0 &&
      length % page == 0 && length > 0;
  return fits ? new Buffer(memory, length) : nullptr;
}

Heap* Device::new_heap(const HeapDescriptor* descriptor) {
  return new Heap(descriptor->size());
}

ResidencySet* Device::new_residency_set(
    const ResidencySetDescriptor*,
    Error** error) {
  clear_error(error);
  return new ResidencySet;
}

Fence* Device::new_fence() {
  return new Fence;
}

SharedEvent* Device::new_shared_event() {
  return new SharedEvent;
}

Pipeline* Device::new_pipeline(const MetalFunction* function, Error** error) {
  if (!function->error().empty()) {
    set_error(error, function->error());
    return nullptr;
  }
  clear_error(error);
  return new Pipeline(function->kernel());
}

const Class& Device::class_object() {
  static const Class type(
      "MTLDevice",
      &Object::class_object(),
      {method<&Device::name>("name"),
       method<&Device::architecture>("architecture"),
       method<&Device::max_buffer_length>("maxBufferLength"),
       method<&Device::working_set_size>("recommendedMaxWorkingSetSize"),
       method<&Device::supports_family>("supportsFamily:"),
       method<&Device::new_queue>("newCommandQueue"),
       method<&Device::new_buffer>("newBufferWithLength:options:"),
       method<&Device::new_buffer_no_copy>(
           "newBufferWithBytesNoCopy:length:options:deallocator:"),
       method<&Device::new_heap>("newHeapWithDescriptor:"),
       method<&Device::new_residency_set>(
           "newResidencySetWithDescriptor:error:"),
       method<&Device::new_fence>("newFence"),
       method<&Device::new_shared_event>("newSharedEvent"),
       method<&Library::at_path>("newLibraryWithFile:error:"),
       method<&Library::of_source>("newLibraryWithSource:options:error:"),
       method<&Device::new_pipeline>(
           "newComputePipelineStateWithFunction:error:")});
  return type;
}

} // namespace emu::host

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED void* MTLCreateSystemDefaultDevice() {
  return emu::host::Device::only().retain();
}

EXPORTED void* MTLCopyAllDevices() {
  return new emu::host::Array({&emu::host::Device::only()});
}

// No device comes or goes: there is nothing to observe.
EXPORTED void* MTLCopyAllDevicesWithObserver(void** observer, const void*) {
  *observer = nullptr;
  return MTLCopyAllDevices();
}

EXPORTED void MTLRemoveDeviceObserver(const void*) {}
