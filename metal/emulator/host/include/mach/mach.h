// Copyright © 2026 The mlx-fork authors
//
// What metal-cpp uses of Mach: the types of a method that nobody calls here.

#pragma once

typedef int kern_return_t;
typedef unsigned int task_id_token_t;
