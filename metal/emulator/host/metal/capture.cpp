// Copyright © 2026 The mlx-fork authors

#include "metal/capture.h"

namespace emu::host {

const Class& CaptureDescriptor::class_object() {
  static const Class type(
      "MTLCaptureDescriptor",
      &Object::class_object(),
      {method<&CaptureDescriptor::set_object>("setCaptureObject:"),
       method<&CaptureDescriptor::set_destination>("setDestination:"),
       method<&CaptureDescriptor::set_url>("setOutputURL:")},
      {method<&allocate<CaptureDescriptor>>("alloc")});
  return type;
}

CaptureManager* CaptureManager::shared() {
  static auto& manager = *new CaptureManager;
  return &manager;
}

bool CaptureManager::start(const CaptureDescriptor*, Error** error) {
  set_error(error, "the emulated Metal makes no captures");
  return false;
}

const Class& CaptureManager::class_object() {
  static const Class type(
      "MTLCaptureManager",
      &Object::class_object(),
      {method<&CaptureManager::start>("startCaptureWithDescriptor:error:"),
       method<&CaptureManager::stop>("stopCapture")},
      {method<&CaptureManager::shared>("sharedCaptureManager")});
  return type;
}

} // namespace emu::host
