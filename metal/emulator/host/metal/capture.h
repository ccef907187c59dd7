// Copyright © 2026 The mlx-fork authors
//
// GPU captures, which the emulator doesn't make: asking for one is an error.

#pragma once

#include "foundation/string.h"
#include "objective_c/object.h"

namespace emu::host {

class CaptureDescriptor : public Object {
 public:
  CaptureDescriptor() : Object(class_object()) {}
  void set_object(Object*) {}
  void set_destination(int64_t) {}
  void set_url(const Url*) {}
  static const Class& class_object();
};

class CaptureManager : public Object {
 public:
  CaptureManager() : Object(class_object()) {}
  static CaptureManager* shared();
  bool start(const CaptureDescriptor* descriptor, Error** error);
  void stop() {}
  static const Class& class_object();
};

} // namespace emu::host
