// Copyright © 2026 The mlx-fork authors

#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace emu {
namespace {

// Half a slot takes any 32-bit index of an element of 16 bytes.
constexpr uint32_t slot_shift = 37;
constexpr uint32_t worker_shift = 30;
constexpr uint32_t variable_shift = 20;
constexpr uint64_t arena_size = uint64_t(Memory::slots) << slot_shift;
constexpr unsigned char poison_byte = 0xff;

uint64_t pages(uint64_t size) {
  uint64_t page = uint64_t(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

// Makes `size` bytes at a place of the reserved range usable.
void open_at(unsigned char* at, uint64_t size, int file, bool writable) {
  int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  int kind = MAP_PRIVATE | MAP_FIXED | (file < 0 ? MAP_ANON : 0);
  if (mmap(at, pages(size), access, kind, file, 0) == MAP_FAILED) {
    bad_job(
        "there is no memory for " + std::to_string(size) +
        " bytes: " + strerror(errno));
  }
}

void load(Region& region, const BufferJob& job) {
  if (job.path.empty()) {
    open_at(region.base, region.size, -1, true);
    if (job.bytes.empty()) {
      memset(region.base, poison_byte, region.size);
    } else {
      memcpy(region.base, job.bytes.data(), job.bytes.size());
      mprotect(region.base, pages(region.size), PROT_READ);
    }
    return;
  }
  int file = open(job.path.c_str(), O_RDONLY);
  struct stat about;
  if (file < 0 || fstat(file, &about) != 0) {
    bad_job("can't read " + job.path + ": " + strerror(errno));
  }
  if (uint64_t(about.st_size) != job.size) {
    bad_job(
        job.path + " has " + std::to_string(about.st_size) +
        " bytes, and the job says " + std::to_string(job.size));
  }
  open_at(region.base, region.size, file, job.writable);
  close(file);
}

} // namespace

void Bits::reset(uint64_t bits) {
  words_.assign((bits + 63) / 64, 0);
}

uint32_t Bits::set(uint64_t at, uint32_t size) {
  uint32_t fresh = 0;
  while (size > 0) {
    uint32_t bit = at % 64;
    uint32_t here = size < 64 - bit ? size : 64 - bit;
    uint64_t mask = (here == 64 ? ~uint64_t(0) : (uint64_t(1) << here) - 1)
        << bit;
    auto& word = words_[at / 64];
    fresh += uint32_t(__builtin_popcountll(mask & ~word));
    word |= mask;
    at += here;
    size -= here;
  }
  return fresh;
}

uint32_t Bits::first_unset(uint64_t at, uint32_t size) const {
  for (uint32_t i = 0; i < size; ++i) {
    if (!(words_[(at + i) / 64] >> ((at + i) % 64) & 1)) {
      return i;
    }
  }
  return size;
}

uint64_t Bits::count() const {
  uint64_t bits = 0;
  for (auto word : words_) {
    bits += uint64_t(__builtin_popcountll(word));
  }
  return bits;
}

Memory::Memory(const Job& job) : variables_(most_workers) {
  void* arena = mmap(
      nullptr,
      arena_size,
      PROT_NONE,
      MAP_PRIVATE | MAP_ANON | MAP_NORESERVE,
      -1,
      0);
  if (arena == MAP_FAILED) {
    bad_job(
        "4 TiB of addresses can't be reserved (is there a limit on this "
        "process, ulimit -v?)");
  }
  base_ = static_cast<unsigned char*>(arena);
  for (const auto& buffer : job.buffers) {
    auto& region = buffers_[buffer.index];
    region.name = buffer.name;
    region.index = buffer.index;
    region.writable = buffer.writable;
    region.initialised = !buffer.path.empty() || !buffer.bytes.empty();
    region.size = buffer.size;
    region.output = buffer.output;
    region.offset = buffer.offset;
    // The middle of the slot: what lies before it belongs to it as well.
    region.base = base_ + (uint64_t(buffer.index) << slot_shift) +
        (uint64_t(1) << (slot_shift - 1));
    if (buffer.size > 0) {
      load(region, buffer);
    }
  }
}

Region* Memory::owner(const void* address) {
  uint64_t offset = static_cast<const unsigned char*>(address) - base_;
  if (offset >= arena_size) {
    return nullptr;
  }
  uint64_t slot = offset >> slot_shift;
  if (slot < slots - 1) {
    return buffer(uint32_t(slot));
  }
  offset &= (uint64_t(1) << slot_shift) - 1;
  auto& variables = variables_[offset >> worker_shift];
  uint64_t variable =
      (offset & ((uint64_t(1) << worker_shift) - 1)) >> variable_shift;
  return variable < variables.size() ? &variables[variable] : nullptr;
}

Region& Memory::add_variable(uint32_t worker, const char* name, size_t size) {
  auto& variables = variables_[worker];
  uint64_t half = uint64_t(1) << (variable_shift - 1);
  if (size > half || variables.size() >> (worker_shift - variable_shift)) {
    bad_job(
        std::string("the threadgroup variable ") + name + " has " +
        std::to_string(size) + " bytes: that is far too much");
  }
  Region region;
  region.name = name;
  region.threadgroup = true;
  region.initialised = false;
  region.size = size;
  region.base = base_ + (uint64_t(slots - 1) << slot_shift) +
      (uint64_t(worker) << worker_shift) +
      (uint64_t(variables.size()) << variable_shift) + half;
  if (size > 0) {
    open_at(region.base, size, -1, true);
  }
  poison(region);
  variables.push_back(std::move(region));
  return variables.back();
}

void Memory::poison(Region& region) {
  memset(region.base, poison_byte, region.size);
}

} // namespace emu
