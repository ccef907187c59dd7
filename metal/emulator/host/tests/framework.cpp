// Copyright © 2026 The mlx-fork authors
//
// Programs against the emulated Metal, by name: each does one thing right or
// wrong and prints what comes of it. tests/emulated_mlx knows what that is.

#define NS_PRIVATE_IMPLEMENTATION
#define CA_PRIVATE_IMPLEMENTATION
#define MTL_PRIVATE_IMPLEMENTATION

#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <Foundation/Foundation.hpp>
#include <Metal/Metal.hpp>

namespace {

constexpr const char* source = R"(
#include <metal_stdlib>
using namespace metal;
kernel void copies(device float* out [[buffer(0)]],
                   const device float* x [[buffer(1)]],
                   uint i [[thread_position_in_grid]]) {
  out[i] = x[i];
}
kernel void doubles(device float* out [[buffer(0)]],
                    uint i [[thread_position_in_grid]]) {
  out[i] *= 2;
}
kernel void adds_one(device float* out [[buffer(0)]],
                     uint i [[thread_position_in_grid]]) {
  out[i] += 1;
}
kernel void fills(device float* out [[buffer(0)]],
                  constant float2& v [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  out[i] = v.y;
}
kernel void fills_halves(device float* low [[buffer(0)]],
                         device float* all [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) {
  low[i] = 1;
  all[i + 32] = 2;
}
kernel void passes_on(device float* out [[buffer(0)]],
                      threadgroup float* t [[threadgroup(0)]],
                      uint i [[thread_index_in_threadgroup]]) {
  t[i] = 3;
  out[i] = t[i];
}
constant int times [[function_constant(3)]];
kernel void scales(device float* out [[buffer(0)]],
                   uint i [[thread_position_in_grid]]) {
  out[i] *= times;
}
kernel void spins(device float* out [[buffer(0)]]) {
  volatile int go = 1;
  while (go) {}
  out[0] = 1;
}
)";

constexpr size_t count = 64;
constexpr size_t bytes = count * sizeof(float);

NS::String* string(const char* text) {
  return NS::String::string(text, NS::UTF8StringEncoding);
}

// One command buffer with one encoder, and what is made for it.
struct Work {
  MTL::Device* device = MTL::CreateSystemDefaultDevice();
  MTL::CommandQueue* queue = device->newCommandQueue();
  NS::Error* error = nullptr;
  MTL::Library* library = device->newLibrary(string(source), nullptr, &error);
  MTL::CommandBuffer* commands = queue->commandBufferWithUnretainedReferences();
  MTL::ComputeCommandEncoder* encoder =
      commands->computeCommandEncoder(MTL::DispatchTypeConcurrent);

  MTL::Buffer* fresh(size_t size = bytes) const {
    return device->newBuffer(size, MTL::ResourceStorageModeShared);
  }

  MTL::Buffer* filled(float value, size_t size = bytes) const {
    auto* buffer = fresh(size);
    auto* values = static_cast<float*>(buffer->contents());
    for (size_t i = 0; i < size / sizeof(float); ++i) {
      values[i] = value;
    }
    return buffer;
  }

  void pipeline(const char* name) const {
    auto* function = library->newFunction(string(name));
    use(function);
  }

  void use(MTL::Function* function) const {
    NS::Error* failure = nullptr;
    auto* state = device->newComputePipelineState(function, &failure);
    if (failure) {
      printf("%s\n", failure->localizedDescription()->utf8String());
    }
    encoder->setComputePipelineState(state);
  }

  void launch(size_t threads = 32, size_t group = 32) const {
    encoder->dispatchThreads(MTL::Size(threads, 1, 1), MTL::Size(group, 1, 1));
  }

  void finish() const {
    encoder->endEncoding();
    commands->commit();
    commands->waitUntilCompleted();
  }

  // Ends the work and prints two of the values.
  void show(MTL::Buffer* buffer, size_t first = 0, size_t second = 31) const {
    finish();
    auto* values = static_cast<float*>(buffer->contents());
    printf("%g %g\n", values[first], values[second]);
  }
};

void binds_nothing(const Work& work) {
  work.pipeline("copies");
  work.encoder->setBuffer(work.filled(0), 0, 0);
  work.launch();
  work.finish();
}

void reads_what_another_kernel_was_given(const Work& work) {
  auto* out = work.filled(0);
  work.encoder->setBuffer(out, 0, 0);
  work.encoder->setBuffer(work.filled(5), 0, 1);
  work.pipeline("copies");
  work.launch();
  work.encoder->memoryBarrier(MTL::BarrierScopeBuffers);
  work.pipeline("adds_one");
  work.encoder->setBuffer(out, 0, 0);
  work.launch();
  work.encoder->memoryBarrier(MTL::BarrierScopeBuffers);
  work.pipeline("copies");
  work.encoder->setBuffer(out, 0, 0);
  work.launch();
  work.finish();
}

void reads_what_nobody_wrote(const Work& work) {
  auto* out = work.fresh();
  work.pipeline("copies");
  work.encoder->setBuffer(out, 0, 0);
  work.encoder->setBuffer(work.fresh(), 0, 1);
  work.launch();
  work.show(out);
}

void sets_too_few_bytes(const Work& work) {
  float one = 1;
  work.pipeline("fills");
  work.encoder->setBuffer(work.fresh(), 0, 0);
  work.encoder->setBytes(&one, sizeof(one), 1);
  work.launch();
  work.finish();
}

void sets_no_bytes(const Work& work) {
  float one = 1;
  work.pipeline("fills");
  work.encoder->setBuffer(work.fresh(), 0, 0);
  work.encoder->setBytes(&one, 0, 1);
  work.launch();
  work.finish();
}

void sets_bytes_of_what_is_written(const Work& work) {
  float values[count] = {};
  work.pipeline("adds_one");
  work.encoder->setBytes(values, sizeof(values), 0);
  work.launch();
  work.finish();
}

void binds_at_the_end(const Work& work) {
  work.pipeline("adds_one");
  work.encoder->setBuffer(work.filled(0), bytes, 0);
  work.launch();
  work.finish();
}

void sets_no_threadgroup_memory(const Work& work) {
  work.pipeline("passes_on");
  work.encoder->setBuffer(work.fresh(), 0, 0);
  work.launch();
  work.finish();
}

void sets_odd_threadgroup_memory(const Work& work) {
  work.pipeline("passes_on");
  work.encoder->setBuffer(work.fresh(), 0, 0);
  work.encoder->setThreadgroupMemoryLength(130, 0);
  work.launch();
  work.finish();
}

void sets_too_much_threadgroup_memory(const Work& work) {
  work.pipeline("passes_on");
  work.encoder->setBuffer(work.fresh(), 0, 0);
  work.encoder->setThreadgroupMemoryLength(32784, 0);
  work.launch();
  work.finish();
}

void launches_too_many_threads(const Work& work) {
  work.pipeline("adds_one");
  work.encoder->setBuffer(work.filled(0, 8192), 0, 0);
  work.launch(2048, 2048);
  work.finish();
}

void launches_nothing(const Work& work) {
  auto* out = work.filled(7);
  work.pipeline("adds_one");
  work.encoder->setBuffer(out, 0, 0);
  work.launch(0);
  work.show(out);
}

// (3 + 1) * 2 or 3 * 2 + 1, as the seed has it.
void forgets_a_barrier(const Work& work) {
  auto* out = work.filled(3);
  work.encoder->setBuffer(out, 0, 0);
  work.pipeline("adds_one");
  work.launch();
  work.encoder->setBuffer(out, 0, 0);
  work.pipeline("doubles");
  work.encoder->setBuffer(out, 0, 0);
  work.launch();
  work.show(out);
}

void has_its_barrier(const Work& work) {
  auto* out = work.filled(3);
  work.encoder->setBuffer(out, 0, 0);
  work.pipeline("adds_one");
  work.launch();
  work.encoder->memoryBarrier(MTL::BarrierScopeBuffers);
  work.pipeline("doubles");
  work.encoder->setBuffer(out, 0, 0);
  work.launch();
  work.show(out);
}

void frees_what_a_launch_uses(const Work& work) {
  auto* out = work.filled(3);
  work.pipeline("adds_one");
  work.encoder->setBuffer(out, 0, 0);
  work.launch();
  out->release();
  work.finish();
}

void binds_a_fresh_buffer_twice(const Work& work) {
  auto* out = work.fresh();
  work.pipeline("fills_halves");
  work.encoder->setBuffer(out, 0, 0);
  work.encoder->setBuffer(out, 0, 1);
  work.launch();
  work.show(out, 31, 32);
}

// More buffers of a size that is shared with the driver than the process may
// have descriptors.
void has_many_large_buffers(const Work& work) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = 48;
  setrlimit(RLIMIT_NOFILE, &limit);
  constexpr size_t large = 1 << 20;
  std::vector<MTL::Buffer*> inputs;
  for (int i = 0; i < 100; ++i) {
    inputs.push_back(work.filled(static_cast<float>(i), large));
  }
  auto* out = work.fresh(large);
  for (size_t i : {0, 99}) {
    work.pipeline("copies");
    work.encoder->setBuffer(out, i * 4, 0);
    work.encoder->setBuffer(inputs[i], 0, 1);
    work.launch(1, 1);
    work.encoder->memoryBarrier(MTL::BarrierScopeBuffers);
  }
  work.show(out, 0, 99);
}

void lacks_a_function_constant(const Work& work) {
  work.use(work.library->newFunction(string("scales")));
}

void sets_a_function_constant(const Work& work) {
  int times = 4;
  auto* constants = MTL::FunctionConstantValues::alloc()->init();
  constants->setConstantValue(&times, MTL::DataTypeInt, NS::UInteger(3));
  auto* descriptor = MTL::FunctionDescriptor::functionDescriptor();
  descriptor->setName(string("scales"));
  descriptor->setConstantValues(constants);
  NS::Error* failure = nullptr;
  work.use(work.library->newFunction(descriptor, &failure));
  auto* out = work.filled(3);
  work.encoder->setBuffer(out, 0, 0);
  work.launch();
  work.show(out);
}

void never_ends(const Work& work) {
  work.pipeline("spins");
  work.encoder->setBuffer(work.fresh(), 0, 0);
  work.launch(1, 1);
  work.finish();
}

void waits_for_what_never_comes(const Work& work) {
  work.encoder->endEncoding();
  work.commands->encodeWait(work.device->newSharedEvent(), 1);
  work.commands->commit();
  work.commands->waitUntilCompleted();
}

void waits_for_no_result(const Work& work) {
  work.pipeline("copies");
  work.encoder->setBuffer(work.filled(0), 0, 0);
  work.encoder->setBuffer(work.filled(0, 64), 0, 1);
  work.launch();
  work.encoder->endEncoding();
  work.commands->commit();
  // The queue's end is the work's.
  work.queue->release();
}

const std::map<std::string, void (*)(const Work&)> programs = {
#define PROGRAM(name) {#name, name}
    PROGRAM(binds_nothing),
    PROGRAM(reads_what_another_kernel_was_given),
    PROGRAM(reads_what_nobody_wrote),
    PROGRAM(sets_too_few_bytes),
    PROGRAM(sets_no_bytes),
    PROGRAM(sets_bytes_of_what_is_written),
    PROGRAM(binds_at_the_end),
    PROGRAM(sets_no_threadgroup_memory),
    PROGRAM(sets_odd_threadgroup_memory),
    PROGRAM(sets_too_much_threadgroup_memory),
    PROGRAM(launches_too_many_threads),
    PROGRAM(launches_nothing),
    PROGRAM(forgets_a_barrier),
    PROGRAM(has_its_barrier),
    PROGRAM(frees_what_a_launch_uses),
    PROGRAM(binds_a_fresh_buffer_twice),
    PROGRAM(has_many_large_buffers),
    PROGRAM(lacks_a_function_constant),
    PROGRAM(sets_a_function_constant),
    PROGRAM(never_ends),
    PROGRAM(waits_for_what_never_comes),
    PROGRAM(waits_for_no_result),
#undef PROGRAM
};

} // namespace

int main(int arguments, char** words) {
  auto program = programs.find(arguments == 2 ? words[1] : "");
  if (program == programs.end()) {
    fprintf(stderr, "usage: %s PROGRAM\n", words[0]);
    return 2;
  }
  auto* pool = NS::AutoreleasePool::alloc()->init();
  try {
    program->second(Work());
  } catch (const std::exception& error) {
    printf("%s\n", error.what());
  }
  pool->release();
  return 0;
}
