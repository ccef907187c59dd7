// Copyright © 2026 The mlx-fork authors

#include "metal/resource.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace emu::host {
namespace {

// As Metal aligns what it allocates.
constexpr uint64_t alignment = 256;

uint64_t size_of(Object* allocation) {
  if (auto* buffer = dynamic_cast<Buffer*>(allocation)) {
    return buffer->length();
  }
  auto* heap = dynamic_cast<Heap*>(allocation);
  return heap ? heap->size() : 0;
}

// From here on a mapped file is worth its descriptor.
constexpr uint64_t large = 1 << 20;

// Descriptors in use by buffers: the process needs others.
std::atomic<uint64_t> files{0};

bool may_open() {
  struct rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && files < limit.rlim_cur / 4;
}

// A file in memory, mapped; null where the system gives none.
void* map_file(uint64_t size, int& file) {
  if (!may_open()) {
    return nullptr;
  }
  file = memfd_create("mlx-emulated", MFD_CLOEXEC);
  if (file < 0) {
    return nullptr;
  }
  void* memory = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(size)) == 0) {
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  if (memory == MAP_FAILED) {
    close(file);
    file = -1;
    return nullptr;
  }
  ++files;
  return memory;
}

} // namespace

Buffer::Buffer(uint64_t length, Heap* heap)
    : Object(class_object()), length_(length), heap_(heap), is_ours_(true) {
  allocate();
  for (uint64_t i = 0; i < length; i += sizeof(poison)) {
    memcpy(memory_ + i, &poison, std::min(sizeof(poison), length - i));
  }
}

void Buffer::allocate() {
  void* memory = length_ >= large ? map_file(length_, file_) : nullptr;
  if (!memory) {
    auto whole = (length_ + alignment - 1) / alignment * alignment;
    memory = aligned_alloc(alignment, whole);
  }
  if (!memory) {
    throw std::bad_alloc();
  }
  memory_ = static_cast<std::byte*>(memory);
}

std::string Buffer::path() const {
  if (file_ < 0) {
    return {};
  }
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(file_);
}

Buffer::Buffer(void* memory, uint64_t length)
    : Object(class_object()),
      memory_(static_cast<std::byte*>(memory)),
      length_(length),
      heap_(nullptr),
      is_ours_(false) {}

Buffer::~Buffer() {
  if (users_ != 0) {
    fprintf(
        stderr,
        "mlx-fork: a buffer of %llu bytes was freed before the launches that "
        "use it were over\n",
        static_cast<unsigned long long>(length_));
    abort();
  }
  if (heap_) {
    heap_->give_back(length_);
  }
  if (file_ >= 0) {
    munmap(memory_, length_);
    close(file_);
    --files;
  } else if (is_ours_) {
    free(memory_);
  }
}

bool is_untouched(const Buffer& buffer) {
  uint64_t value = Buffer::poison;
  auto* expected = reinterpret_cast<const std::byte*>(&value);
  auto* memory = buffer.contents();
  for (uint64_t i = 0; i < buffer.length(); ++i) {
    if (memory[i] != expected[i % sizeof(value)]) {
      return false;
    }
  }
  return true;
}

const Class& Buffer::class_object() {
  static const Class type(
      "MTLBuffer",
      &Object::class_object(),
      {method<&Buffer::contents>("contents"),
       method<&Buffer::length>("length"),
       method<&Buffer::length>("allocatedSize"),
       method<&Buffer::heap>("heap")});
  return type;
}

const Class& HeapDescriptor::class_object() {
  static const Class type(
      "MTLHeapDescriptor",
      &Object::class_object(),
      {method<&HeapDescriptor::set_size>("setSize:"),
       method<&HeapDescriptor::set_options>("setResourceOptions:")},
      {method<&allocate<HeapDescriptor>>("alloc")});
  return type;
}

Buffer* Heap::new_buffer(uint64_t length, uint64_t) {
  if ((used_ += length) > size_) {
    used_ -= length;
    return nullptr;
  }
  return new Buffer(length, this);
}

const Class& Heap::class_object() {
  static const Class type(
      "MTLHeap",
      &Object::class_object(),
      {method<&Heap::new_buffer>("newBufferWithLength:options:"),
       method<&Heap::size>("size"),
       method<&Heap::size>("allocatedSize")});
  return type;
}

const Class& ResidencySetDescriptor::class_object() {
  static const Class type(
      "MTLResidencySetDescriptor",
      &Object::class_object(),
      {},
      {method<&allocate<ResidencySetDescriptor>>("alloc")});
  return type;
}

ResidencySet::~ResidencySet() {
  for (auto* allocation : allocations_) {
    allocation->release();
  }
}

void ResidencySet::add(Object* allocation) {
  if (allocations_.insert(allocation).second) {
    allocation->retain();
  }
}

void ResidencySet::remove(Object* allocation) {
  if (allocations_.erase(allocation) != 0) {
    allocation->release();
  }
}

uint64_t ResidencySet::size() const {
  uint64_t sum = 0;
  for (auto* allocation : allocations_) {
    sum += size_of(allocation);
  }
  return sum;
}

Array* ResidencySet::all() const {
  auto* array = new Array({allocations_.begin(), allocations_.end()});
  array->autorelease();
  return array;
}

const Class& ResidencySet::class_object() {
  static const Class type(
      "MTLResidencySet",
      &Object::class_object(),
      {method<&ResidencySet::add>("addAllocation:"),
       method<&ResidencySet::remove>("removeAllocation:"),
       method<&ResidencySet::commit>("commit"),
       method<&ResidencySet::request>("requestResidency"),
       method<&ResidencySet::size>("allocatedSize"),
       method<&ResidencySet::count>("allocationCount"),
       method<&ResidencySet::all>("allAllocations")});
  return type;
}

} // namespace emu::host
