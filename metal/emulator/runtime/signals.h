// Copyright © 2026 The mlx-fork authors
//
// Turns a kernel's crash into a fault of the report: an access that no page
// answers, a stack that overflows, a division by zero.

#pragma once

namespace emu {

struct Launch;

// Where a crash is to be reported, once it happens.
void write_on_crash(Launch& launch);

// Catches the signals of the calling thread, on a stack of their own.
void catch_signals();

} // namespace emu
