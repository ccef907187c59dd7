#include "mlx/fused/gather_qmm_swiglu.h"

#include "internal.h"

using namespace mlx_fork;

int mlx_fork_gather_qmm_swiglu(
    mlx_array* result,
    mlx_array x,
    mlx_array gate_w,
    mlx_array gate_scales,
    mlx_array gate_biases,
    mlx_array up_w,
    mlx_array up_scales,
    mlx_array up_biases,
    mlx_array lhs_indices,
    mlx_array rhs_indices,
    bool transpose,
    int group_size,
    int bits,
    const char* mode,
    const char* activation,
    bool sorted_indices,
    mlx_stream stream) {
  return guarded([&] {
    out(result,
        mx::gather_qmm_swiglu(
            in(x, "x"),
            in(gate_w, "gate_w"),
            in(gate_scales, "gate_scales"),
            optional_in(gate_biases),
            in(up_w, "up_w"),
            in(up_scales, "up_scales"),
            optional_in(up_biases),
            optional_in(lhs_indices),
            optional_in(rhs_indices),
            transpose,
            optional_number(group_size),
            optional_number(bits),
            text(mode, "mode"),
            text(activation, "activation"),
            sorted_indices,
            stream_in(stream)));
  });
}
