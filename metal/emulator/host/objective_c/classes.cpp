// Copyright © 2026 The mlx-fork authors

#include "objective_c/classes.h"

#include <map>
#include <mutex>
#include <string>

#include "foundation/array.h"
#include "foundation/string.h"
#include "metal/capture.h"
#include "metal/library.h"
#include "metal/resource.h"
#include "objective_c/pool.h"

namespace emu::host {
namespace {

// Those that metal-cpp sends messages to: other objects come from the device.
const Class* const known[] = {
    &Array::class_object(),
    &CaptureDescriptor::class_object(),
    &CaptureManager::class_object(),
    &CompileOptions::class_object(),
    &FunctionConstants::class_object(),
    &FunctionDescriptor::class_object(),
    &HeapDescriptor::class_object(),
    &Object::class_object(),
    &Pool::class_object(),
    &ResidencySetDescriptor::class_object(),
    &String::class_object(),
    &Url::class_object(),
};

} // namespace

const Class* class_named(const char* name) {
  static std::mutex mutex;
  static auto& classes = *[] {
    auto* classes = new std::map<std::string, const Class*>;
    for (const auto* type : known) {
      classes->emplace(type->name(), type);
    }
    return classes;
  }();
  std::lock_guard<std::mutex> lock(mutex);
  auto [place, is_new] = classes.try_emplace(name, nullptr);
  if (is_new) {
    place->second = new Class(place->first.c_str(), nullptr, {});
  }
  return place->second;
}

} // namespace emu::host
