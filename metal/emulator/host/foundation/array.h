// Copyright © 2026 The mlx-fork authors
//
// NSArray.

#pragma once

#include <vector>

#include "objective_c/object.h"

namespace emu::host {

class Array : public Object {
 public:
  // Retains the objects.
  explicit Array(std::vector<Object*> objects);
  ~Array() override;

  uint64_t count() const {
    return objects_.size();
  }
  // Ends the process beyond the last, as NSArray does.
  Object* at(uint64_t index) const;

  static const Class& class_object();

 private:
  std::vector<Object*> objects_;
};

} // namespace emu::host
