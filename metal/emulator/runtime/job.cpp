// Copyright © 2026 The mlx-fork authors

#include "job.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>

namespace emu {
namespace {

// Metal's argument table.
constexpr uint32_t buffer_indices = 31;
constexpr uint64_t largest_buffer = uint64_t(16) << 30;
constexpr uint32_t largest_group = 1024;

struct Line {
  std::vector<std::string> fields;
  size_t number;

  [[noreturn]] void bad(const std::string& why) const {
    bad_job("line " + std::to_string(number) + " of the job: " + why);
  }

  const std::string& at(size_t field) const {
    if (field >= fields.size()) {
      bad(fields[0] + " needs more fields");
    }
    return fields[field];
  }

  uint64_t number_at(
      size_t field,
      uint64_t most = std::numeric_limits<uint64_t>::max()) const {
    const auto& text = at(field);
    char* end = nullptr;
    auto value = strtoull(text.c_str(), &end, 10);
    if (text.empty() || *end != 0 || text[0] == '-' || value > most) {
      bad("\"" + text + "\" is no number from 0 to " + std::to_string(most));
    }
    return value;
  }

  Uint3 triple() const {
    auto most = std::numeric_limits<uint32_t>::max();
    Uint3 size{
        uint32_t(number_at(1, most)),
        uint32_t(number_at(2, most)),
        uint32_t(number_at(3, most))};
    if (size.x == 0 || size.y == 0 || size.z == 0) {
      bad(fields[0] + " is empty");
    }
    return size;
  }

  std::string bytes_at(size_t field) const {
    const auto& text = at(field);
    std::string bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
      char digits[3] = {text[i], text[i + 1], 0};
      char* end = nullptr;
      bytes.push_back(char(strtoul(digits, &end, 16)));
      if (*end != 0) {
        bad("\"" + text + "\" is not hexadecimal");
      }
    }
    if (text.size() % 2 != 0) {
      bad("half a byte in \"" + text + "\"");
    }
    return bytes;
  }

  // Without its percent-encoding.
  std::string text_at(size_t field) const {
    const auto& text = at(field);
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        char digits[3] = {text[i + 1], text[i + 2], 0};
        plain.push_back(char(strtoul(digits, nullptr, 16)));
        i += 2;
      } else {
        plain.push_back(text[i]);
      }
    }
    return plain;
  }
};

Line split(const std::string& text, size_t number) {
  Line line{{}, number};
  size_t start = 0;
  while (start <= text.size()) {
    auto end = text.find(' ', start);
    end = end == std::string::npos ? text.size() : end;
    line.fields.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return line;
}

BufferJob& named(Job& job, const Line& line) {
  auto index = line.number_at(1);
  for (auto& buffer : job.buffers) {
    if (buffer.index == index) {
      return buffer;
    }
  }
  line.bad("no buffer " + std::to_string(index));
}

void add(Job& job, const Line& line, BufferJob buffer) {
  for (const auto& other : job.buffers) {
    if (other.index == buffer.index) {
      line.bad("buffer " + std::to_string(buffer.index) + " is bound twice");
    }
  }
  job.buffers.push_back(std::move(buffer));
}

void take(Job& job, const Line& line) {
  const auto& what = line.fields[0];
  if (what == "library") {
    job.library = line.text_at(1);
  } else if (what == "kernel") {
    job.kernel = line.text_at(1);
  } else if (what == "report") {
    job.report = line.text_at(1);
  } else if (what == "buffer") {
    BufferJob buffer{};
    buffer.index = uint32_t(line.number_at(1, buffer_indices - 1));
    buffer.writable = line.at(2) == "read_write";
    if (!buffer.writable && line.at(2) != "read") {
      line.bad("a buffer is read or read_write");
    }
    buffer.size = line.number_at(3, largest_buffer);
    buffer.path = line.at(4) == "-" ? "" : line.text_at(4);
    buffer.name = line.text_at(5);
    add(job, line, std::move(buffer));
  } else if (what == "bytes") {
    BufferJob buffer{};
    buffer.index = uint32_t(line.number_at(1, buffer_indices - 1));
    buffer.bytes = line.bytes_at(2);
    buffer.size = buffer.bytes.size();
    buffer.name = line.text_at(3);
    add(job, line, std::move(buffer));
  } else if (what == "offset") {
    auto& buffer = named(job, line);
    buffer.offset = line.number_at(2, buffer.size);
  } else if (what == "output") {
    named(job, line).output = line.text_at(2);
  } else if (what == "threadgroup") {
    auto index = uint32_t(line.number_at(1, buffer_indices - 1));
    job.threadgroup[index] = line.number_at(2, 1 << 20);
  } else if (what == "constant") {
    job.constants[uint32_t(line.number_at(1, 65535))] = line.bytes_at(2);
  } else if (what == "groups") {
    job.groups = line.triple();
  } else if (what == "grid") {
    job.threads = line.triple();
  } else if (what == "group") {
    job.group = line.triple();
  } else if (what == "seed") {
    job.seed = line.number_at(1);
  } else if (what == "schedule") {
    const auto& name = line.at(1);
    if (name != "random" && name != "forward" && name != "reverse") {
      line.bad("the schedule is random, forward or reverse");
    }
    job.schedule = name == "random" ? Schedule::random
        : name == "forward"         ? Schedule::forward
                                    : Schedule::reverse;
  } else if (what == "reduction") {
    job.reduction = Reduction(line.number_at(1, 3));
  } else if (what == "flush") {
    job.flush = line.number_at(1, 1) == 1;
  } else if (what == "forgiving") {
    job.forgiving = line.number_at(1, 1) == 1;
  } else if (what == "workers") {
    job.workers = uint32_t(line.number_at(1, 1024));
  } else if (what == "coalescing") {
    job.coalescing = uint32_t(line.number_at(1, 1 << 20));
  } else {
    line.bad("\"" + what + "\" is nothing that a job has");
  }
}

void complete(Job& job) {
  if (job.library.empty() || job.kernel.empty() || job.report.empty()) {
    bad_job("the job lacks its library, kernel or report");
  }
  auto wide = uint64_t(job.group.x) * job.group.y * job.group.z;
  if (job.group.x > largest_group || job.group.y > largest_group ||
      job.group.z > largest_group || wide > largest_group) {
    bad_job(
        "a threadgroup has at most " + std::to_string(largest_group) +
        " threads");
  }
  bool by_threads = job.threads.x != 0;
  if (by_threads == (job.groups.x != 0)) {
    bad_job("the job says either groups or grid");
  }
  auto groups = [](uint32_t threads, uint32_t group) {
    return uint32_t((uint64_t(threads) + group - 1) / group);
  };
  if (by_threads) {
    job.groups = {
        groups(job.threads.x, job.group.x),
        groups(job.threads.y, job.group.y),
        groups(job.threads.z, job.group.z)};
  } else {
    job.threads = {
        job.groups.x * job.group.x,
        job.groups.y * job.group.y,
        job.groups.z * job.group.z};
  }
  job.workers = job.workers == 0 ? 1 : job.workers;
}

} // namespace

Job read_job(const char* path) {
  std::ifstream file(path);
  if (!file) {
    bad_job(std::string("can't read ") + path);
  }
  Job job;
  std::string text;
  for (size_t number = 1; std::getline(file, text); ++number) {
    if (!text.empty()) {
      take(job, split(text, number));
    }
  }
  complete(job);
  return job;
}

void bad_job(const std::string& message) {
  fprintf(stderr, "%s\n", message.c_str());
  _Exit(2);
}

} // namespace emu
