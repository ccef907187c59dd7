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

// This thread encodes work: it is one of the program's, which can handle
// exceptions. Others that wait are MLX's own, for its CPU streams.
void expect_faults();

// Throws std::runtime_error with the faults noted since the last call, if there
// are any and this thread is one that expects them.
void throw_faults();

} // namespace emu::host
