// Copyright © 2026 The mlx-fork authors
//
// What MLX's allocator uses of Mach: the size of a page.

#pragma once

#include <cstdint>

extern "C" const uintptr_t vm_page_size;
