// Copyright © 2026 The mlx-fork authors
//
// Which of Apple's systems this is: macOS, as far as metal-cpp asks.

#pragma once

#define TARGET_OS_OSX 1
#define TARGET_OS_IPHONE 0
