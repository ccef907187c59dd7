// Copyright © 2026 The mlx-fork authors
//
// What MLX asks of macOS's sysctl: how much memory there is.

#pragma once

#include <cstddef>

extern "C" int sysctlbyname(
    const char* name,
    void* value,
    size_t* size,
    void* new_value,
    size_t new_size);
