// Copyright © 2026 The mlx-fork authors
//
// The threads that share the work of one evaluation: one for each core that the
// process may use, the caller among them.

#pragma once

#include <cstdint>

namespace mlx::core::fused::cpu {

/**
 * Threads that take part: those that MLX_FUSED_CPU_THREADS asks for, else one
 * for each core. Throws std::invalid_argument if the variable is no number from
 * 1 to 1024.
 */
int pool_threads();

/** Lets the pool's threads wait awake for work that is about to come. */
void pool_wake();

void pool_run(int64_t tasks, void (*task)(void* self, int64_t i), void* self);

/**
 * Calls task(i) once for each i in [0, tasks), on several threads, and returns
 * when all have returned. Which thread calls which is open; task must not
 * throw. Called from two threads at once, one of them works alone.
 */
template <typename F>
void parallel_for(int64_t tasks, F&& task) {
  pool_run(
      tasks,
      [](void* self, int64_t i) { (*static_cast<F*>(self))(i); },
      const_cast<void*>(static_cast<const void*>(&task)));
}

} // namespace mlx::core::fused::cpu
