// Copyright © 2026 The mlx-fork authors

#include <csignal>
#include <cstdio>
#include <cstring>

#include <unistd.h>

#include "checks.h"

namespace kernel_tests {

namespace {

constexpr int shown_failures = 40;

// What a signal handler can read.
char current[256];

void crashed(int signal) {
  auto say = [](const char* text) {
    return write(STDOUT_FILENO, text, std::strlen(text)) < 0;
  };
  bool lost = say("FAILED: wrong memory use (beyond a buffer?) in ");
  lost |= say(current);
  lost |= say("\n");
  _exit(lost ? 2 : 128 + signal);
}

} // namespace

void Checks::begin(std::string what) {
  std::snprintf(current, sizeof(current), "%s", what.c_str());
}

void Checks::expect(const std::string& wrong) {
  ++checks_;
  if (!wrong.empty() && ++failed_ <= shown_failures) {
    std::printf("FAILED: %s: %s\n", current, wrong.c_str());
  }
}

int Checks::finish() const {
  if (failed_ > shown_failures) {
    std::printf("(and %d more)\n", failed_ - shown_failures);
  }
  std::printf("%d checks, %d failed\n", checks_, failed_);
  return failed_ > 0 || checks_ == 0;
}

void report_crashes() {
  // Before the end, what was printed so far must be out.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    std::signal(signal, crashed);
  }
}

uint64_t Random::next() {
  // SplitMix64.
  state_ += 0x9e3779b97f4a7c15;
  uint64_t v = state_;
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
  v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
  return v ^ (v >> 31);
}

int Random::between(int first, int last) {
  return first + static_cast<int>(next() % (last - first + 1));
}

float Random::signed_unit() {
  return static_cast<float>(between(-(1 << 23), 1 << 23)) * 0x1p-23f;
}

} // namespace kernel_tests
