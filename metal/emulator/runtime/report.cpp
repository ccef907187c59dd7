// Copyright © 2026 The mlx-fork authors

#include "report.h"

#include <cstdio>
#include <string>
#include <utility>

#include "job.h"
#include "library.h"
#include "memory.h"

namespace emu {
namespace {

constexpr size_t most_faults = 64;

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += char(c);
    } else if (c < 0x20) {
      char escape[8];
      snprintf(escape, sizeof escape, "\\u%04x", c);
      json += escape;
    } else {
      json += char(c);
    }
  }
  return json + "\"";
}

std::string number(uint64_t value) {
  return std::to_string(value);
}

std::string triple(Uint3 v) {
  return "[" + number(v.x) + "," + number(v.y) + "," + number(v.z) + "]";
}

std::string offset_of(const void* pc) {
  return pc && in_library(pc) ? number(library_offset(pc)) : "null";
}

std::string boolean(bool value) {
  return value ? "true" : "false";
}

// The items of a list in brackets.
class List {
 public:
  void add(std::string item) {
    text_ += (text_.empty() ? "" : ",\n  ") + std::move(item);
  }
  std::string text() const {
    return "[" + text_ + "]";
  }

 private:
  std::string text_;
};

std::string json(const Fault& fault) {
  std::string text = "{\"kind\":" + quoted(fault.kind) +
      ",\"message\":" + quoted(fault.message) +
      ",\"pc\":" + offset_of(fault.pc) +
      ",\"other_pc\":" + offset_of(fault.other_pc);
  text += fault.file ? ",\"file\":" + quoted(fault.file) +
          ",\"line\":" + std::to_string(fault.line)
                     : ",\"file\":null,\"line\":null";
  text += fault.has_thread
      ? ",\"thread\":" + triple(fault.thread) +
          ",\"threadgroup\":" + triple(fault.threadgroup) +
          ",\"lane\":" + number(fault.lane)
      : ",\"thread\":null,\"threadgroup\":null,\"lane\":null";
  text +=
      ",\"buffer\":" + (fault.buffer.empty() ? "null" : quoted(fault.buffer));
  text += ",\"offset\":" +
      (fault.has_offset ? std::to_string(fault.offset) : "null");
  return text + "}";
}

// "T = const float *" of the text that names the type.
std::string type_of(const Argument& argument) {
  std::string text = argument.type;
  auto from = text.find("P = ");
  auto to = text.rfind(']');
  return from == std::string::npos || to == std::string::npos
      ? text
      : text.substr(from + 4, to - from - 4);
}

std::string json(const Argument& argument) {
  const char* spaces[] = {"device", "constant", "threadgroup"};
  return std::string("{\"kind\":") +
      (argument.kind == Kind::buffer ? "\"buffer\"" : "\"threadgroup\"") +
      ",\"index\":" + number(argument.index) +
      ",\"name\":" + quoted(argument.name) +
      ",\"space\":" + quoted(spaces[uint32_t(argument.space)]) +
      ",\"const\":" + boolean(argument.is_const) +
      ",\"size\":" + number(argument.size) +
      ",\"align\":" + number(argument.align) +
      ",\"reference\":" + boolean(argument.is_reference) +
      ",\"optional\":" + boolean(argument.is_optional) +
      ",\"type\":" + quoted(type_of(argument)) + "}";
}

std::string json(const LoadSummary& load) {
  return "{\"pc\":" + offset_of(load.pc) +
      ",\"buffer\":" + quoted(load.buffer) +
      ",\"write\":" + boolean(load.write) +
      ",\"accesses\":" + number(load.accesses) +
      ",\"threads\":" + number(load.threads) +
      ",\"thread_bytes\":" + number(load.thread_bytes) +
      ",\"distinct_bytes\":" + number(load.distinct_bytes) +
      ",\"lines_128\":" + number(load.lines) + "}";
}

} // namespace

bool Report::note(Fault fault) {
  std::lock_guard<std::mutex> lock(mutex_);
  ++in_all_;
  if (seen_.insert({fault.kind, fault.pc, fault.other_pc, fault.line}).second) {
    faults_.push_back(std::move(fault));
  }
  return faults_.size() < most_faults;
}

void Report::write(
    const Job& job,
    const Kernel* kernel,
    Memory& memory,
    uint64_t threadgroup_read,
    uint64_t threadgroup_written,
    const std::map<const void*, uint64_t>& blocks) const {
  List faults;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& fault : faults_) {
      faults.add(json(fault));
    }
  }
  List arguments;
  for (uint32_t i = 0; kernel && i < kernel->argument_count; ++i) {
    arguments.add(json(kernel->arguments[i]));
  }
  List buffers;
  uint64_t read = 0;
  uint64_t written = 0;
  for (uint32_t i = 0; i + 1 < Memory::slots; ++i) {
    const auto* region = memory.buffer(i);
    if (!region) {
      continue;
    }
    read += region->read;
    written += region->wrote;
    uint64_t unwritten = checked && region->writable && !region->initialised
        ? region->size - region->distinct_written
        : 0;
    buffers.add(
        "{\"index\":" + number(i) + ",\"name\":" + quoted(region->name) +
        ",\"size\":" + number(region->size) + ",\"read\":" +
        number(region->read) + ",\"written\":" + number(region->wrote) +
        ",\"distinct_read\":" + number(region->distinct_read) +
        ",\"distinct_written\":" + number(region->distinct_written) +
        ",\"unwritten\":" + number(unwritten) + "}");
  }
  List summaries;
  for (const auto& load : loads) {
    summaries.add(json(load));
  }
  List runs;
  for (const auto& [pc, count] : blocks) {
    runs.add("[" + offset_of(pc) + "," + number(count) + "]");
  }
  FILE* file = fopen(job.report.c_str(), "w");
  if (!file) {
    bad_job("can't write " + job.report);
  }
  uint64_t threads = uint64_t(job.threads.x) * job.threads.y * job.threads.z;
  char time[32];
  snprintf(time, sizeof time, "%.9f", seconds);
  std::string text = "{\"kernel\":" + quoted(job.kernel) +
      ",\"checked\":" + boolean(checked) + ",\"threads\":" + number(threads) +
      ",\"threadgroups\":" + number(job.group_count()) +
      ",\"seconds\":" + time + ",\n \"faults\":" + faults.text() +
      ",\"faults_in_all\":" + number(in_all_) +
      ",\"complete\":" + boolean(complete) +
      ",\n \"arguments\":" + arguments.text() +
      ",\n \"counts\":{\"device_read\":" + number(read) +
      ",\"device_written\":" + number(written) +
      ",\"threadgroup_read\":" + number(threadgroup_read) +
      ",\"threadgroup_written\":" + number(threadgroup_written) +
      ",\"barriers\":" + number(barriers) +
      ",\"simd_operations\":" + number(simd_operations) +
      ",\"buffers\":" + buffers.text() + "},\n \"loads\":" + summaries.text() +
      ",\n \"blocks\":" + runs.text() + "}\n";
  bool whole = fwrite(text.data(), 1, text.size(), file) == text.size();
  if (fclose(file) != 0 || !whole) {
    bad_job("can't write all of " + job.report);
  }
}

} // namespace emu
