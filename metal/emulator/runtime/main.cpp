// Copyright © 2026 The mlx-fork authors
//
// The driver: runs the launch that a job file describes, and ends. One launch a
// process, so that a kernel's crash costs nothing but itself.
//
// mlx-emulate JOB

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <signal.h>
#include <sys/prctl.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "access.h"
#include "blocks.h"
#include "coalescing.h"
#include "group.h"
#include "library.h"
#include "signals.h"

namespace emu {

const Job* the_job = nullptr;

namespace {

// Subnormal float32 numbers become zero, as operands and as results.
void flush_subnormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#else
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("msr fpcr, %0" : : "r"(control | (uint64_t(1) << 24)));
#endif
}

void note_binding(Report& report, const Argument& argument, std::string why) {
  Fault fault;
  fault.kind = "binding";
  fault.message = std::move(why);
  fault.buffer = argument.name;
  report.note(std::move(fault));
}

// True when the kernel can run with what is bound.
bool check_bindings(
    const Kernel& kernel,
    const Job& job,
    Memory& memory,
    Report& report) {
  bool sound = true;
  for (uint32_t i = 0; i < kernel.argument_count; ++i) {
    const auto& argument = kernel.arguments[i];
    std::string name = argument.name;
    if (argument.kind == Kind::threadgroup) {
      if (!job.threadgroup.count(argument.index)) {
        sound = false;
        note_binding(
            report,
            argument,
            "nothing sets the size of threadgroup(" +
                std::to_string(argument.index) + "), " + name);
      }
      continue;
    }
    const auto* region = memory.buffer(argument.index);
    if (!region && !argument.is_optional) {
      sound = false;
      note_binding(
          report,
          argument,
          "nothing is bound at " + std::to_string(argument.index) +
              ", where the kernel has " + name);
    } else if (
        region && argument.is_reference &&
        region->size - region->offset < argument.size) {
      sound = false;
      note_binding(
          report,
          argument,
          "buffer " + std::to_string(argument.index) + " has " +
              std::to_string(region->size - region->offset) +
              " bytes, and the kernel's " + name + " has " +
              std::to_string(argument.size));
    }
  }
  uint32_t most = kernel.max_total_threads_per_threadgroup;
  if (most != 0 && job.threads_in_group() > most) {
    sound = false;
    Fault fault;
    fault.kind = "binding";
    fault.message = "the threadgroup has " +
        std::to_string(job.threads_in_group()) +
        " threads, and the kernel is declared for at most " +
        std::to_string(most);
    report.note(std::move(fault));
  }
  return sound;
}

// A step that visits all groups in an order that depends on the seed.
void order_groups(Launch& launch, const Job& job) {
  uint64_t count = job.group_count();
  if (job.schedule == Schedule::reverse) {
    launch.group_start = count - 1;
    launch.group_step = count - 1 == 0 ? 1 : count - 1;
  } else if (job.schedule == Schedule::random) {
    uint64_t random = (job.seed + 1) * 0x9e3779b97f4a7c15u;
    launch.group_start = (random >> 32) % count;
    launch.group_step = (random >> 8) % count | 1;
    while (std::gcd(launch.group_step, count) != 1) {
      ++launch.group_step;
    }
  }
}

void run_workers(Launch& launch, const Job& job, bool checked) {
  // Each stack and its guard are two mappings, of which systems have 65,530.
  constexpr uint32_t most_stacks = 30000;
  uint32_t most = checked
      ? 1
      : std::min(Memory::most_workers, most_stacks / job.threads_in_group());
  auto wanted = std::min<uint64_t>(job.workers, job.group_count());
  auto count = uint32_t(std::min<uint64_t>(wanted, most));
  std::mutex sum;
  auto work = [&](uint32_t index) {
    catch_signals();
    if (job.flush) {
      flush_subnormals();
    }
    Worker worker(launch, index);
    worker.run();
    std::lock_guard<std::mutex> lock(sum);
    launch.report.barriers += worker.barriers;
    launch.report.simd_operations += worker.simd_operations;
  };
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < count; ++i) {
    threads.emplace_back(work, i);
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

void save_outputs(Memory& memory) {
  for (uint32_t i = 0; i + 1 < Memory::slots; ++i) {
    const auto* region = memory.buffer(i);
    if (!region || region->output.empty()) {
      continue;
    }
    FILE* file = fopen(region->output.c_str(), "w");
    bool whole =
        file && fwrite(region->base, 1, region->size, file) == region->size;
    if (!file || fclose(file) != 0 || !whole) {
      bad_job("can't write all of " + region->output);
    }
  }
}

int run(const char* path) {
  const Job job = read_job(path);
  the_job = &job;
  const Kernel& kernel = load_kernel(job.library, job.kernel);
  Memory memory(job);
  Report report;
  report.checked = library_is_checked();
  Launch launch{job, kernel, memory, report};
  for (uint32_t i = 0; i + 1 < Memory::slots; ++i) {
    if (auto* region = memory.buffer(i)) {
      launch.buffers[i] = region->base + region->offset;
      if (report.checked) {
        watch(*region);
      }
    }
  }
  write_on_crash(launch);
  if (check_bindings(kernel, job, memory, report)) {
    order_groups(launch, job);
    auto start = std::chrono::steady_clock::now();
    run_workers(launch, job, report.checked);
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    report.seconds = time.count();
  }
  report.loads = summarise_loads();
  save_outputs(memory);
  report.write(
      job,
      &kernel,
      memory,
      threadgroup_bytes_read(),
      threadgroup_bytes_written(),
      block_counts());
  return 0;
}

} // namespace
} // namespace emu

int main(int count, char** arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: %s JOB\n", arguments[0]);
    return 2;
  }
#if defined(__linux__)
  // A launch that nobody waits for any more must not go on for ever.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  return emu::run(arguments[1]);
}
