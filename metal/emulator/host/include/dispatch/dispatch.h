// Copyright © 2026 The mlx-fork authors
//
// What metal-cpp uses of Grand Central Dispatch: handles.

#pragma once

typedef struct dispatch_queue_s* dispatch_queue_t;
typedef struct dispatch_data_s* dispatch_data_t;
