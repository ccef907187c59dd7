// Copyright © 2026 The mlx-fork authors
//
// Other programs, run to their end.

#pragma once

#include <string>
#include <vector>

namespace emu::host {

struct Ended {
  int status; // its exit code; 128 + n where signal n ended it
  bool late; // it was ended after its time
  std::string output;
  std::string errors;
};

// Throws std::runtime_error where it can't be started. One that runs longer
// than so many seconds is ended.
Ended run_program(const std::vector<std::string>& words, int seconds);

} // namespace emu::host
