#include "mlx/fused/gather_qmm_downproj_combine.h"

#include "internal.h"

using namespace mlx_fork;

int mlx_fork_gather_qmm_downproj_combine(
    mlx_array* result,
    mlx_array h,
    mlx_array w,
    mlx_array scales,
    mlx_array biases,
    mlx_array rhs_indices,
    mlx_array weights,
    bool transpose,
    int group_size,
    int bits,
    const char* mode,
    const char* accumulate,
    mlx_stream stream) {
  return guarded([&] {
    out(result,
        mx::gather_qmm_downproj_combine(
            in(h, "h"),
            in(w, "w"),
            in(scales, "scales"),
            optional_in(biases),
            in(rhs_indices, "rhs_indices"),
            in(weights, "weights"),
            transpose,
            optional_number(group_size),
            optional_number(bits),
            text(mode, "mode"),
            text(accumulate, "accumulate"),
            stream_in(stream)));
  });
}
