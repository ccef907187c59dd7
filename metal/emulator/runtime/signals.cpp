// Copyright © 2026 The mlx-fork authors

#include "signals.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#if defined(__APPLE__)
#include <sys/ucontext.h>
#else
#include <ucontext.h>
#endif

#include "access.h"
#include "blocks.h"
#include "group.h"

namespace emu {
namespace {

Launch* launch = nullptr;

const void* instruction(void* context) {
  auto* state = static_cast<ucontext_t*>(context);
#if defined(__APPLE__) && defined(__aarch64__)
  return reinterpret_cast<const void*>(state->uc_mcontext->__ss.__pc);
#elif defined(__APPLE__)
  return reinterpret_cast<const void*>(state->uc_mcontext->__ss.__rip);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(state->uc_mcontext.pc);
#else
  return reinterpret_cast<const void*>(state->uc_mcontext.gregs[REG_RIP]);
#endif
}

Fault describe(
    const Worker& worker,
    int signal,
    const void* address,
    const void* pc) {
  auto fault = worker.fault_here(
      "crash", std::string("the kernel ended with ") + strsignal(signal));
  // One past the instruction, as a call's return address is.
  fault.pc = static_cast<const char*>(pc) + 1;
  if (signal != SIGSEGV && signal != SIGBUS) {
    return fault;
  }
  if (worker.stacks().overflowed(address)) {
    fault.kind = "stack_overflow";
    fault.message = "the thread's own variables take more than 240 KiB";
    return fault;
  }
  if (const auto* region = launch->memory.owner(address)) {
    int64_t at = static_cast<const unsigned char*>(address) - region->base;
    bool inside = at >= 0 && uint64_t(at) < region->size;
    fault.kind = inside ? "const_write" : "out_of_bounds";
    fault.message = inside
        ? "writes to " + region->name +
            ", which the host binds for reading only"
        : "uses byte " + std::to_string(at) + " of " + region->name +
            ", which has " + std::to_string(region->size) + " bytes";
    fault.buffer = region->name;
    fault.has_offset = true;
    fault.offset = at;
  }
  return fault;
}

// The process is about to end, and the signal came from the kernel's code, not
// from the C library: what is not safe in handlers is, here.
void on_signal(int signal, siginfo_t* about, void* context) {
  const auto* worker = Worker::current();
  if (!worker || !launch) {
    ::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  launch->report.complete = false;
  launch->report.note(
      describe(*worker, signal, about->si_addr, instruction(context)));
  launch->report.write(
      launch->job,
      &launch->kernel,
      launch->memory,
      threadgroup_bytes_read(),
      threadgroup_bytes_written(),
      block_counts());
  _exit(0);
}

} // namespace

void write_on_crash(Launch& at) {
  launch = &at;
}

void catch_signals() {
  constexpr size_t size = size_t(1) << 18;
  stack_t stack{};
  stack.ss_sp = malloc(size); // as long as the thread lives
  stack.ss_size = size;
  sigaltstack(&stack, nullptr);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) {
    sigaction(signal, &action, nullptr);
  }
}

} // namespace emu
