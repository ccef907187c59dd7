// Copyright © 2026 The mlx-fork authors
//
// Faults of launches, between the queue that sees them and the thread of MLX's
// that is told: by an exception when it next waits for results.

#pragma once

#include <string>

namespace emu::host {

// Those that nobody waits for are printed when the process ends, which then
// fails.
void note_fault(const std::string& what);

// Throws std::runtime_error with the faults noted since the last call, if any.
void throw_faults();

} // namespace emu::host
