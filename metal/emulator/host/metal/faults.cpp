// Copyright © 2026 The mlx-fork authors

#include "metal/faults.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <unistd.h>

#include "metal/kernel.h"

namespace emu::host {
namespace {

struct Faults {
  std::mutex mutex;
  std::string text;

  std::string take() {
    std::lock_guard<std::mutex> lock(mutex);
    return std::exchange(text, {});
  }
};

Faults& faults() {
  static auto& faults = *new Faults;
  return faults;
}

thread_local bool expects_faults = false;

void print_the_rest() {
  auto text = faults().take();
  if (!text.empty()) {
    fprintf(
        stderr,
        "mlx-fork: faults that nothing waited for:\n%s\n",
        text.c_str());
    fflush(nullptr);
    remove_scratch();
    _exit(70);
  }
}

} // namespace

void note_fault(const std::string& what) {
  static const int registered = atexit(print_the_rest);
  (void)registered;
  std::lock_guard<std::mutex> lock(faults().mutex);
  auto& text = faults().text;
  text += text.empty() ? what : "\n" + what;
}

void expect_faults() {
  expects_faults = true;
}

void throw_faults() {
  if (!expects_faults) {
    return;
  }
  auto text = faults().take();
  if (!text.empty()) {
    throw std::runtime_error("[METAL, emulated] " + text);
  }
}

} // namespace emu::host
