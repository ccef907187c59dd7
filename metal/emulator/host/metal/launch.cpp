// Copyright © 2026 The mlx-fork authors

#include "metal/launch.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metal/program.h"

namespace emu::host {
namespace {

// An argument that nothing is bound for is there for a kernel that doesn't use
// it: memory that nobody has written, as large as what a reference can point
// to.
constexpr uint64_t unbound_size = 4096;
const Binding unbound{};

std::string show(const Size& size) {
  return std::to_string(size.width) + " x " + std::to_string(size.height) +
      " x " + std::to_string(size.depth);
}

// As a field of a job: percent-encoded.
std::string field(const std::string& text) {
  std::string out;
  for (unsigned char c : text) {
    if (c > ' ' && c < 0x7f && c != '%') {
      out += static_cast<char>(c);
    } else {
      char code[4];
      snprintf(code, sizeof(code), "%%%02X", c);
      out += code;
    }
  }
  return out;
}

std::string hexadecimal(const std::string& bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    char code[3];
    snprintf(code, sizeof(code), "%02x", c);
    out += code;
  }
  return out;
}

// A file of this launch, gone with it.
class File {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}
  File(const File&) = delete;
  ~File() {
    unlink(path_.c_str());
  }
  const std::string& path() const {
    return path_;
  }

  void write(const void* bytes, uint64_t size) const {
    std::ofstream file(path_, std::ios::binary);
    file.write(
        static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    file.close();
    if (!file) {
      throw std::runtime_error("can't write " + path_);
    }
  }

  std::string read() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

// A buffer's bytes, for the driver and from it: all of them, as a kernel may go
// back from the binding's offset (MLX's does where a stride is negative).
class Passed {
 public:
  Passed(
      const KernelBuffer& argument,
      const Binding& binding,
      bool is_shared,
      const std::string& stem)
      : argument_(argument),
        binding_(binding),
        is_shared_(is_shared),
        before_(stem + ".in"),
        after_(stem + ".out") {}

  std::string job() const {
    if (!binding_.buffer && binding_.bytes.empty()) {
      return "buffer " + std::to_string(argument_.index) + " read " +
          std::to_string(unbound_size) + " - " + field(argument_.name) + "\n";
    }
    if (!binding_.buffer) {
      return "bytes " + std::to_string(argument_.index) + " " +
          hexadecimal(binding_.bytes) + " " + field(argument_.name) + "\n";
    }
    auto* start = binding_.buffer->contents();
    auto size = binding_.buffer->length();
    std::string contents = "-";
    if (is_shared_ || !is_untouched(*binding_.buffer)) {
      auto shared = argument_.is_const ? binding_.buffer->path() : "";
      if (shared.empty()) {
        before_.write(start, size);
      }
      contents = field(shared.empty() ? before_.path() : shared);
    }
    auto index = std::to_string(argument_.index);
    std::string line = "buffer " + index;
    line += argument_.is_const ? " read " : " read_write ";
    line += std::to_string(size) + " " + contents + " ";
    line += field(argument_.name) + "\n";
    line += "offset " + index + " " + std::to_string(binding_.offset) + "\n";
    if (!argument_.is_const) {
      line += "output " + index + " " + field(after_.path()) + "\n";
    }
    return line;
  }

  // Takes over the bytes that the kernel changed, and no others: another
  // binding may be of the same memory.
  void take() const {
    if (!binding_.buffer || argument_.is_const) {
      return;
    }
    auto after = after_.read();
    auto* target = binding_.buffer->contents();
    auto size = binding_.buffer->length();
    if (after.size() != size) {
      throw std::runtime_error(
          "the driver left " + after_.path() + " incomplete");
    }
    auto before = before_.read();
    if (before.empty()) {
      memcpy(target, after.data(), size);
      return;
    }
    for (uint64_t i = 0; i < size; ++i) {
      if (before[i] != after[i]) {
        target[i] = static_cast<std::byte>(after[i]);
      }
    }
  }

 private:
  const KernelBuffer& argument_;
  const Binding& binding_;
  bool is_shared_; // bound at another index as well
  File before_;
  File after_;
};

std::string triple(const char* what, const Size& size) {
  return std::string(what) + " " + std::to_string(size.width) + " " +
      std::to_string(size.height) + " " + std::to_string(size.depth) + "\n";
}

std::string settings(const Launch& launch, const std::string& report) {
  const auto& kernel = launch.pipeline->kernel();
  std::string job = "library " + field(kernel.library) + "\n";
  job += "kernel " + field(kernel.name) + "\n";
  for (const auto& [index, size] : launch.threadgroup) {
    job += "threadgroup " + std::to_string(index) + " " + std::to_string(size) +
        "\n";
  }
  for (const auto& [index, bytes] : kernel.constants) {
    job +=
        "constant " + std::to_string(index) + " " + hexadecimal(bytes) + "\n";
  }
  job += triple(launch.counts_threads ? "grid" : "groups", launch.grid);
  job += triple("group", launch.group);
  job += "seed " + std::to_string(seed()) + "\n";
  // The driver has four orders of SIMD reductions; the first one's seed is 1.
  job += "reduction " + std::to_string((seed() + 3) % 4) + "\n";
  job += "forgiving 1\n";
  job += "report " + field(report) + "\n";
  return job;
}

// What follows `key` in the driver's JSON from `start` on, up to the next
// comma, brace or quotation mark.
std::string value_of(const std::string& json, const char* key, size_t start) {
  auto begin = json.find(key, start);
  if (begin == std::string::npos) {
    return {};
  }
  begin += strlen(key);
  return json.substr(begin, json.find_first_of(",}\"", begin) - begin);
}

// References take as many bytes as their type has: setBytes must bring as many.
std::string check_sizes(const Launch& launch, const std::string& report) {
  auto end = report.find("\"counts\"");
  auto place = report.find("\"arguments\"");
  while ((place = report.find("{\"kind\":\"buffer\"", place)) < end) {
    auto index = value_of(report, "\"index\":", place);
    auto size = value_of(report, "\"size\":", place);
    bool is_reference = value_of(report, "\"reference\":", place) == "true";
    ++place;
    auto bound = launch.bindings.find(strtoull(index.c_str(), nullptr, 10));
    if (!is_reference || bound == launch.bindings.end() ||
        bound->second.buffer) {
      continue;
    }
    auto given = bound->second.bytes.size();
    if (given != strtoull(size.c_str(), nullptr, 10)) {
      return "binding: setBytes brings " + std::to_string(given) +
          " bytes for buffer(" + index + "), which has " + size;
    }
  }
  return {};
}

// True where the user wants to go on with faults of all the kinds that are
// there, and the launch did.
bool is_tolerated(const std::string& report) {
  if (report.find("\"complete\":true") == std::string::npos) {
    return false;
  }
  const auto& kinds = tolerated_faults();
  const char* key = "\"kind\":\"";
  auto end = report.find("\"arguments\"");
  auto place = report.find(key, report.find("\"faults\""));
  for (; place < end; place = report.find(key, place + 1)) {
    if (kinds.count(value_of(report, key, place)) == 0) {
      return false;
    }
  }
  return true;
}

void tell_once(const std::string& kernel, const std::string& faults) {
  static std::mutex mutex;
  static auto& told = *new std::set<std::string>;
  std::lock_guard<std::mutex> lock(mutex);
  if (told.insert(kernel).second) {
    fprintf(stderr, "mlx-fork: tolerated: %s", faults.c_str());
  }
}

} // namespace

std::string describe(const Launch& launch) {
  return launch.pipeline->kernel().name + ", " + show(launch.grid) +
      (launch.counts_threads ? " threads" : " threadgroups") + " of " +
      show(launch.group);
}

std::string check(const Launch& launch) {
  const auto& kernel = launch.pipeline->kernel();
  auto wrong = [&](const std::string& why) {
    return describe(launch) + ": " + why;
  };
  if (launch.group.count() == 0) {
    return wrong("the threadgroup is empty");
  }
  if (launch.group.count() > most_threads) {
    return wrong(
        "the threadgroup has more than " + std::to_string(most_threads) +
        " threads");
  }
  uint64_t threadgroup = 0;
  for (auto index : kernel.threadgroup) {
    auto set = launch.threadgroup.find(index);
    if (set == launch.threadgroup.end()) {
      return wrong(
          "nothing sets the size of threadgroup(" + std::to_string(index) +
          ")");
    }
    threadgroup += set->second;
  }
  if (threadgroup > most_threadgroup_memory) {
    return wrong(std::to_string(threadgroup) + " bytes of threadgroup memory");
  }
  for (const auto& argument : kernel.buffers) {
    auto bound = launch.bindings.find(argument.index);
    if (bound == launch.bindings.end()) {
      // MLX binds what the kernel's variant uses; the driver sees what it does
      // use.
      continue;
    }
    const auto& binding = bound->second;
    auto place =
        "buffer(" + std::to_string(argument.index) + "), " + argument.name;
    if (!binding.buffer && !argument.is_const) {
      return wrong(place + ", is written to and bound by setBytes");
    }
    if (binding.buffer && binding.offset >= binding.buffer->length()) {
      return wrong(
          place + ", is bound at offset " + std::to_string(binding.offset) +
          " of a buffer of " + std::to_string(binding.buffer->length()) +
          " bytes");
    }
  }
  return {};
}

std::string run(const Launch& launch) {
  // MLX launches grids of no threads where an array is empty; they do nothing.
  const auto& grid = launch.grid;
  if (grid.width == 0 || grid.height == 0 || grid.depth == 0) {
    return {};
  }
  static std::atomic<uint64_t> count{0};
  auto stem = scratch() + "/" + std::to_string(++count);
  const auto& kernel = launch.pipeline->kernel();
  File report(stem + ".json");
  File job(stem + ".job");
  auto text = settings(launch, report.path());
  std::vector<std::unique_ptr<Passed>> passed;
  for (const auto& argument : kernel.buffers) {
    auto bound = launch.bindings.find(argument.index);
    const auto& binding =
        bound == launch.bindings.end() ? unbound : bound->second;
    auto index = std::to_string(argument.index);
    auto places = std::count_if(
        launch.bindings.begin(), launch.bindings.end(), [&](const auto& other) {
          return binding.buffer && other.second.buffer == binding.buffer;
        });
    passed.push_back(
        std::make_unique<Passed>(
            argument, binding, places > 1, stem + "-" + index));
    text += passed.back()->job();
  }
  job.write(text.data(), text.size());
  auto ended = run_program({kernel.driver, job.path()}, limit_seconds());
  if (ended.late) {
    return describe(launch) + ": it did not end in " +
        std::to_string(limit_seconds()) +
        " s (MLX_FORK_EMULATOR_SECONDS sets the limit)";
  }
  // A crash leaves a report, too, unless it was the driver's own.
  auto said = report.read();
  if (said.empty()) {
    return describe(launch) + ": the driver ended with " +
        std::to_string(ended.status) + "\n" + ended.errors;
  }
  auto sizes = check_sizes(launch, said);
  if (!sizes.empty()) {
    return describe(launch) + ": " + sizes;
  }
  if (said.find("\"faults_in_all\":0,") == std::string::npos) {
    auto faults = describe(launch) + ":\n" + explain(report.path(), kernel);
    if (!is_tolerated(said)) {
      return faults;
    }
    tell_once(kernel.name, faults);
  }
  for (const auto& buffer : passed) {
    buffer->take();
  }
  return {};
}

} // namespace emu::host
