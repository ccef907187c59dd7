// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

#include "mlx/fused/backend/cpu/pool.h"

namespace mlx::core::fused::cpu {

namespace {

void pause() {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__GNUC__) && defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** The cores that this process may run on. */
int allowed_cores() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

int choose_threads() {
  const char* wanted = std::getenv("MLX_FUSED_CPU_THREADS");
  if (!wanted) {
    return allowed_cores();
  }
  char* end;
  auto n = std::strtol(wanted, &end, 10);
  if (end == wanted || *end != '\0' || n < 1 || n > 1024) {
    throw std::invalid_argument(
        std::string(
            "[fused::cpu] MLX_FUSED_CPU_THREADS must be a number from "
            "1 to 1024 but is '") +
        wanted + "'.");
  }
  return static_cast<int>(n);
}

/**
 * Keeps threads off the core that the caller of a parallel_for runs on. A
 * thread that is woken when all cores look busy, with the caller's own client
 * about to sleep, is often put behind the caller and stays there for the whole
 * call, while another core idles.
 */
class Apart {
 public:
#ifdef __linux__
  void add(std::thread& thread) {
    threads_.push_back(thread.native_handle());
  }

  void from_caller() {
    int core = sched_getcpu();
    if (core == core_) {
      return;
    }
    core_ = core;
    cpu_set_t set;
    if (core < 0 || sched_getaffinity(0, sizeof(set), &set) != 0) {
      return;
    }
    if (CPU_COUNT(&set) > 1) {
      CPU_CLR(core, &set);
    }
    for (auto thread : threads_) {
      // If that can't be done, they are where the system puts them.
      pthread_setaffinity_np(thread, sizeof(set), &set);
    }
  }

 private:
  std::vector<pthread_t> threads_;
  int core_{-1};
#else
  void add(std::thread&) {}
  void from_caller() {}
#endif
};

class Pool {
 public:
  /** To be called once, when nothing can destroy the pool any more. */
  void start() {
    // They live as long as the process: nobody can tell when the last
    // evaluation was.
    try {
      for (int i = 1; i < pool_threads(); ++i) {
        std::thread thread([this] { work(); });
        apart_.add(thread);
        thread.detach();
      }
    } catch (const std::system_error&) {
      // Those that could be started do the work.
    }
  }

  void wake() {
    {
      std::lock_guard<std::mutex> lock(sleep_);
      ++calls_;
    }
    awake_.notify_all();
  }

  void run(int64_t tasks, void (*task)(void*, int64_t), void* self) {
    std::unique_lock<std::mutex> mine(caller_, std::try_to_lock);
    if (!mine || tasks < 2 || pool_threads() == 1) {
      for (int64_t i = 0; i < tasks; ++i) {
        task(self, i);
      }
      return;
    }
    apart_.from_caller();
    task_ = task;
    self_ = self;
    tasks_ = tasks;
    next_.store(0, std::memory_order_relaxed);
    state_.fetch_or(open);
    if (sleepers_.load() > 0) {
      wake();
    }
    take();
    auto inside = state_.load(std::memory_order_acquire);
    for (int spins = 0; inside > 0 && spins < 1000; ++spins) {
      pause();
      inside = state_.load(std::memory_order_acquire);
    }
    if (inside > 0) {
      // Its thread may be waiting for our core.
      std::unique_lock<std::mutex> lock(sleep_);
      left_.wait(lock, [&] { return state_.load() == 0; });
    }
    if (failed_.load(std::memory_order_relaxed)) {
      failed_.store(false, std::memory_order_relaxed);
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }

 private:
  // `state_` is the number of threads inside a call, and whether more may
  // enter.
  static constexpr uint32_t open = 1u << 31;
  // A thread stays awake for as long as an operation's successor may take.
  static constexpr auto patience = std::chrono::microseconds(60);

  void take() {
    for (;;) {
      auto i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= tasks_) {
        // Who has not come by now need not come any more.
        state_.fetch_and(~open);
        return;
      }
      try {
        task_(self_, i);
      } catch (...) {
        if (!failed_.exchange(true)) {
          failure_ = std::current_exception();
        }
        next_.store(tasks_, std::memory_order_relaxed);
      }
    }
  }

  bool enter() {
    auto s = state_.load(std::memory_order_relaxed);
    while (s & open) {
      if (state_.compare_exchange_weak(
              s, s + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  void leave() {
    if (state_.fetch_sub(1) == 1) {
      // The last one, and nobody else may enter.
      {
        std::lock_guard<std::mutex> lock(sleep_);
      }
      left_.notify_one();
    }
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      auto until = std::chrono::steady_clock::now() + patience;
      for (int spins = 1;; ++spins) {
        if (enter()) {
          take();
          leave();
          until = std::chrono::steady_clock::now() + patience;
        }
        pause();
        if (spins % 64 == 0) {
          if (std::chrono::steady_clock::now() > until) {
            break;
          }
          // To a caller that was put behind us.
          std::this_thread::yield();
        }
      }
      std::unique_lock<std::mutex> lock(sleep_);
      ++sleepers_;
      // A call that came before we counted as a sleeper is still open, or over.
      awake_.wait(
          lock, [&] { return calls_ != seen || (state_.load() & open) != 0; });
      seen = calls_;
      --sleepers_;
    }
  }

  std::mutex caller_;
  Apart apart_;
  void (*task_)(void*, int64_t);
  void* self_;
  int64_t tasks_;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::mutex sleep_;
  std::condition_variable awake_;
  std::condition_variable left_;
  std::atomic<int> sleepers_{0};
  // The first exception of a call.
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  uint64_t calls_{0};
};

Pool& pool() {
  static Pool* pool_ = [] {
    auto p = new Pool;
    p->start();
    return p;
  }();
  return *pool_;
}

} // namespace

int pool_threads() {
  static const int threads = choose_threads();
  return threads;
}

void pool_wake() {
  pool().wake();
}

void pool_run(int64_t tasks, void (*task)(void*, int64_t), void* self) {
  pool().run(tasks, task, self);
}

} // namespace mlx::core::fused::cpu
