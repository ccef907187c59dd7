// Copyright © 2026 The mlx-fork authors

#include "doctest/doctest.h"
