// Copyright © 2026 The mlx-fork authors

#include "metal/kernel.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <sstream>

#include "metal/program.h"

namespace emu::host {
namespace {

// No kernel takes the tool as long.
constexpr int tool_seconds = 1800;

// What the tool prints where a library has no such kernel.
constexpr const char* no_such_kernel = "absent\n";

std::string environment(const char* name, const char* otherwise) {
  const char* value = getenv(name);
  return value && *value ? value : otherwise;
}

const std::string& tool() {
  static const std::string tool = environment("MLX_FORK_EMULATOR", "");
  if (tool.empty()) {
    throw std::runtime_error(
        "MLX_FORK_EMULATOR doesn't say which program compiles kernels; "
        "`cargo xtask python --side emulated` sets it");
  }
  return tool;
}

// A line for each fact: "buffer INDEX const|mutable NAME", …
Kernel read_kernel(
    const std::string& source,
    const std::string& name,
    const std::string& facts) {
  Kernel kernel{};
  kernel.name = name;
  kernel.source = source;
  std::istringstream lines(facts);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "driver") {
      kernel.driver = line.substr(what.size() + 1);
    } else if (what == "library") {
      kernel.library = line.substr(what.size() + 1);
    } else if (what == "threadgroup") {
      uint64_t index = 0;
      words >> index;
      kernel.threadgroup.push_back(index);
    } else if (what == "constant") {
      uint64_t index = 0;
      words >> index >> kernel.needed[index];
    } else if (what == "buffer") {
      KernelBuffer buffer{};
      std::string access;
      words >> buffer.index >> access >> buffer.name;
      buffer.is_const = access == "const";
      kernel.buffers.push_back(std::move(buffer));
    }
  }
  if (kernel.driver.empty() || kernel.library.empty()) {
    throw std::runtime_error(tool() + " didn't say what it made of " + name);
  }
  return kernel;
}

uint64_t number(const char* name, const char* otherwise, uint64_t most) {
  auto text = environment(name, otherwise);
  char* end = nullptr;
  errno = 0;
  auto value = strtoull(text.c_str(), &end, 10);
  if (*end != 0 || text[0] == '-' || errno != 0 || value > most) {
    throw std::runtime_error(
        std::string(name) + "=" + text + ": no number from 0 to " +
        std::to_string(most));
  }
  return value;
}

} // namespace

Mode mode() {
  auto mode = environment("MLX_FORK_EMULATOR_MODE", "checked");
  if (mode != "plain" && mode != "checked") {
    throw std::runtime_error(
        "MLX_FORK_EMULATOR_MODE=" + mode + ": it is plain or checked");
  }
  return mode == "plain" ? Mode::plain : Mode::checked;
}

uint64_t seed() {
  static const auto seed = number("MLX_FORK_EMULATOR_SEED", "1", UINT64_MAX);
  return seed;
}

int limit_seconds() {
  static const auto seconds =
      number("MLX_FORK_EMULATOR_SECONDS", "600", 1000000);
  return static_cast<int>(seconds);
}

const std::set<std::string>& tolerated_faults() {
  static const auto& kinds = *[] {
    auto* kinds = new std::set<std::string>;
    std::istringstream text(environment("MLX_FORK_EMULATOR_TOLERATE", ""));
    for (std::string kind; std::getline(text, kind, ',');) {
      if (kind != "uninitialised" && kind != "race" && kind != "misaligned") {
        throw std::runtime_error(
            "MLX_FORK_EMULATOR_TOLERATE has " + kind +
            ": a launch goes on after uninitialised, race and misaligned only");
      }
      kinds->insert(kind);
    }
    return kinds;
  }();
  return kinds;
}

const std::string& scratch() {
  // Never destroyed: it is used after that.
  static const auto& folder = *new std::string([] {
    // Launches pass whole buffers by files: in memory, where there is such a
    // place.
    std::error_code none;
    auto shared = std::filesystem::is_directory("/dev/shm", none);
    auto parent = environment("TMPDIR", shared ? "/dev/shm" : "/tmp");
    auto name = parent + "/mlx-emulated-XXXXXX";
    if (!mkdtemp(name.data())) {
      throw std::runtime_error("can't make a folder in " + parent);
    }
    atexit(remove_scratch);
    return name;
  }());
  return folder;
}

void remove_scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(scratch(), ignored);
}

std::vector<std::string> command(const char* what) {
  std::vector<std::string> words{tool(), "emulated-kernel"};
  if (mode() == Mode::plain) {
    words.emplace_back("--plain");
  }
  words.emplace_back(what);
  return words;
}

Kernel compile(const std::string& library, const std::string& name) {
  auto words = command("compile");
  words.insert(words.end(), {library, name});
  auto ended = run_program(words, tool_seconds);
  if (ended.late) {
    throw std::runtime_error(tool() + " didn't compile " + name + " in time");
  }
  if (ended.status != 0) {
    throw std::runtime_error(ended.errors);
  }
  if (ended.output == no_such_kernel) {
    throw NoSuchKernel(library + " has no kernel " + name);
  }
  return read_kernel(library, name, ended.output);
}

std::string explain(const std::string& report, const Kernel& kernel) {
  auto words = command("explain");
  words.insert(words.end(), {kernel.source, kernel.name, report});
  auto ended = run_program(words, tool_seconds);
  return ended.status == 0 ? ended.output : ended.errors;
}

} // namespace emu::host
