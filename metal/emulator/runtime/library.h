// Copyright © 2026 The mlx-fork authors
//
// The kernel's library: loaded, its kernel found, its instructions told by
// their offset from where it was loaded.

#pragma once

#include <cstdint>
#include <string>

#include "emulator/launch.h"

namespace emu {

// Loads the library. Its initialisers read the function constants.
const Kernel& load_kernel(const std::string& path, const std::string& name);

// True where the library was compiled for checking: its initialiser says so.
bool library_is_checked();
void mark_library_checked();

uint32_t library_offset(const void* pc);
const void* library_address(uint32_t offset);
bool in_library(const void* pc);

} // namespace emu
