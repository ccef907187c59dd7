// Small kernels with one fault each, or with none. A comment `fault: KIND` stands on
// a line that the emulator must name, in one order of the threads at least; `KIND, or
// KIND` names what it may say besides. Each is launched with two threadgroups of 64
// threads, x and out of 128 elements, table of 128 read-only ones, n = 128.

#include <metal_stdlib>

using namespace metal;

#define ARGUMENTS                                        \
  const device float *x [[buffer(0)]],                   \
      device float *out [[buffer(1)]],                   \
      constant int &n [[buffer(2)]],                     \
      device float *table [[buffer(3)]],                 \
      device atomic_uint *counter [[buffer(4)]],         \
      uint i [[thread_position_in_grid]],                \
      uint t [[thread_index_in_threadgroup]],            \
      uint lane [[thread_index_in_simdgroup]],           \
      uint simd [[simdgroup_index_in_threadgroup]],      \
      uint group [[threadgroup_position_in_grid]]

// ---- out of bounds

[[kernel]] void reads_past_a_buffer(ARGUMENTS) {
  out[i] = x[i + 1]; // fault: out_of_bounds
}

[[kernel]] void reads_before_a_buffer(ARGUMENTS) {
  out[i] = x[int(i) - 1]; // fault: out_of_bounds
}

[[kernel]] void writes_past_a_buffer(ARGUMENTS) {
  out[i + 64] = x[i]; // fault: out_of_bounds
}

[[kernel]] void reads_far_past_a_buffer(ARGUMENTS) {
  out[i] = x[i * 100000000ul]; // fault: out_of_bounds
}

[[kernel]] void reads_across_the_end(ARGUMENTS) {
  const device packed_float4 *v = (const device packed_float4 *)(x + 2);
  out[i] = v[i / 4].w; // fault: out_of_bounds
}

[[kernel]] void reads_past_a_threadgroup_array(ARGUMENTS) {
  threadgroup float a[64];
  threadgroup float b[64];
  a[t] = b[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  threadgroup const float *p = a + t;
  out[i] = b[63 - t] + p[n / 128]; // fault: out_of_bounds
}

[[kernel]] void indexes_past_a_threadgroup_array(ARGUMENTS) {
  threadgroup float a[64];
  a[t + 1] = x[i]; // fault: bounds
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[t];
}

[[kernel]] void indexes_past_its_own_array(ARGUMENTS) {
  float a[4] = {1, 2, 3, 4};
  out[i] = a[i % 5]; // fault: bounds
}

// ---- races

[[kernel]] void forgets_a_barrier(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  out[i] = a[63 - t]; // fault: race, or uninitialised
}

[[kernel]] void overwrites_what_others_read(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float v = a[63 - t]; // fault: race
  a[t] = v; // fault: race
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[t];
}

[[kernel]] void orders_the_wrong_memory(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  threadgroup_barrier(mem_flags::mem_device);
  out[i] = a[63 - t]; // fault: race
}

[[kernel]] void orders_no_memory(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  threadgroup_barrier(mem_flags::mem_none);
  out[i] = a[63 - t]; // fault: race
}

[[kernel]] void orders_one_simd_group_only(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[63 - t]; // fault: race, or uninitialised
}

[[kernel]] void orders_its_simd_group(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  simdgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[t ^ 31];
}

[[kernel]] void orders_its_threadgroup(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[63 - t];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  a[t] = 0;
}

[[kernel]] void writes_what_another_threadgroup_writes(ARGUMENTS) {
  out[t] = x[i]; // fault: race
  out[i] = x[i]; // fault: race
}

[[kernel]] void hands_over_through_device_memory(ARGUMENTS) {
  out[i] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float v = out[i ^ 63]; // fault: race
  threadgroup_barrier(mem_flags::mem_device);
  out[i] = v;
}

[[kernel]] void hands_over_through_ordered_device_memory(ARGUMENTS) {
  out[i] = x[i];
  threadgroup_barrier(mem_flags::mem_device);
  float v = out[i ^ 63];
  threadgroup_barrier(mem_flags::mem_device);
  out[i] = v;
}

[[kernel]] void counts_with_atomics(ARGUMENTS) {
  atomic_fetch_add_explicit(counter, 1u, memory_order_relaxed);
  out[i] = x[i];
}

[[kernel]] void counts_without_atomics(ARGUMENTS) {
  atomic_fetch_add_explicit(counter, 1u, memory_order_relaxed); // fault: race
  device uint *plain = (device uint *)counter;
  plain[0] += 1; // fault: race
  out[i] = x[i];
}

[[kernel]] void all_write_the_same_place(ARGUMENTS) {
  threadgroup float a[1];
  a[0] = x[0]; // fault: race
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[0];
}

[[kernel]] void clears_plainly_what_others_add_to(ARGUMENTS) {
  if (i == 0) {
    *(device uint *)counter = 0; // fault: race
  }
  atomic_fetch_add_explicit(counter, 1u, memory_order_relaxed); // fault: race
  out[i] = x[i];
}

[[kernel]] void reads_plainly_what_others_add_to(ARGUMENTS) {
  out[i] = x[i];
  if (t == 0) {
    atomic_fetch_add_explicit(counter, 1u, memory_order_relaxed); // fault: race
    out[i] = *(device uint *)counter; // fault: race
  }
}

[[kernel]] void loads_atomically_what_nobody_writes(ARGUMENTS) {
  const device atomic_uint *first = (const device atomic_uint *)x;
  out[i] = atomic_load_explicit(first, memory_order_relaxed) + x[0];
}

// ---- divergence

[[kernel]] void returns_before_a_barrier(ARGUMENTS) {
  threadgroup float a[64];
  a[t] = x[i];
  if (t == 40) {
    return;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup); // fault: barrier_divergence
  out[i] = a[63 - t];
}

[[kernel]] void skips_a_barrier(ARGUMENTS) {
  if (simd == 0) {
    threadgroup_barrier(mem_flags::mem_threadgroup); // fault: barrier_divergence
  }
  out[i] = x[i];
}

[[kernel]] void comes_to_different_barriers(ARGUMENTS) {
  if (simd == 0) {
    threadgroup_barrier(mem_flags::mem_threadgroup); // fault: barrier_divergence
  } else {
    threadgroup_barrier(mem_flags::mem_threadgroup); // fault: barrier_divergence
  }
  out[i] = x[i];
}

[[kernel]] void sums_over_part_of_a_simd_group(ARGUMENTS) {
  float v = x[i];
  if (lane < 20) {
    v = simd_sum(v); // fault: simd_divergence
  }
  out[i] = v;
}

[[kernel]] void sums_after_some_returned(ARGUMENTS) {
  if (i == 100) {
    return;
  }
  out[i] = simd_sum(x[i]); // fault: simd_divergence
}

[[kernel]] void sums_in_two_places(ARGUMENTS) {
  float v = x[i];
  if (lane % 2 == 0) {
    v = simd_sum(v); // fault: simd_divergence
  } else {
    v = simd_sum(v + 1); // fault: simd_divergence
  }
  out[i] = v;
}

[[kernel]] void some_lanes_skip_a_simd_barrier(ARGUMENTS) {
  if (lane != 7) {
    simdgroup_barrier(mem_flags::mem_none); // fault: simd_divergence
  }
  out[i] = x[i];
}

// ---- memory that nobody wrote

[[kernel]] void reads_unset_threadgroup_memory(ARGUMENTS) {
  threadgroup float a[64];
  if (t < 60) {
    a[t] = x[i];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = a[63 - t]; // fault: uninitialised
}

[[kernel]] void reads_its_unset_output(ARGUMENTS) {
  out[i] += x[i]; // fault: uninitialised
}

// ---- alignment, const, size

[[kernel]] void loads_a_vector_off_its_alignment(ARGUMENTS) {
  const device float4 *v = (const device float4 *)(x + 1);
  float4 all = v[i / 8]; // fault: misaligned
  out[i] = all.x + all.y + all.z + all.w;
}

[[kernel]] void loads_a_packed_vector(ARGUMENTS) {
  const device packed_float4 *v = (const device packed_float4 *)(x + 1);
  float4 all = v[i / 8];
  out[i] = all.x + all.y + all.z + all.w;
}

[[kernel]] void writes_an_input(ARGUMENTS) {
  table[i] = x[i]; // fault: const_write
  out[i] = x[i];
}

[[kernel]] void takes_too_much_threadgroup_memory(ARGUMENTS) {
  threadgroup float a[4096];
  threadgroup float b[4097];
  a[t] = x[i];
  b[t] = x[i];
  out[i] = a[t] + b[t];
}

[[kernel]] void divides_by_zero(ARGUMENTS) {
  volatile int divisor = 0;
  out[i] = float(n / divisor); // fault: crash
}

[[kernel]] void runs_out_of_stack(ARGUMENTS) {
  volatile float a[63000];
  for (int j = 0; j < 63000; ++j) {
    a[j] = x[i]; // fault: stack_overflow
  }
  out[i] = a[n];
}
