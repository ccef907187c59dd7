// Copyright © 2026 The mlx-fork authors
//
// The classes by name.

#pragma once

#include "objective_c/object.h"

namespace emu::host {

// Never null: a class that the emulator lacks has no methods, so that the first
// message to it says which it is.
const Class* class_named(const char* name);

} // namespace emu::host
