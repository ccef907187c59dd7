// Copyright © 2026 The mlx-fork authors

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>

#include "mlx/fused/gather_qmm_downproj_combine.h"

namespace mx = mlx::core;
namespace nb = nanobind;
using namespace nb::literals;

void init_gather_qmm_downproj_combine(nb::module_& m) {
  m.def(
      "gather_qmm_downproj_combine",
      &mx::gather_qmm_downproj_combine,
      "h"_a,
      "w"_a,
      "scales"_a,
      "biases"_a.none(),
      "rhs_indices"_a,
      "weights"_a,
      "transpose"_a = true,
      "group_size"_a = nb::none(),
      "bits"_a = nb::none(),
      "mode"_a = "affine",
      "accumulate"_a = "exact",
      nb::kw_only(),
      "stream"_a = nb::none(),
      nb::sig(
          "def gather_qmm_downproj_combine(h: array, w: array, scales: array, biases: Optional[array], rhs_indices: array, weights: array, transpose: bool = True, group_size: Optional[int] = None, bits: Optional[int] = None, mode: str = 'affine', accumulate: str = 'exact', *, stream: Union[None, Stream, Device] = None) -> array"),
      R"pbdoc(
        Perform quantized matrix multiplications with matrix-level gather and
        return the weighted sum of the products.

        The result is the sum over ``j`` of
        ``weights[..., j] * (h[..., j, :] @ w[rhs_indices[..., j]])``, as in the
        last step of a mixture of experts. The batch dimensions of ``h``,
        ``rhs_indices`` and ``weights`` broadcast with one another. Types are
        promoted as in :func:`gather_qmm`, to a type ``T``. The products with the
        matrices are summed in ``float32`` and rounded to ``T``, then added up
        from zero in the order of ``j``.

        Where an index is negative or too large the result is NaN.

        Gradients are defined with respect to ``h`` and ``weights``.

        Args:
            h (array): Input array of shape ``(..., k, K)``.
            w (array): Quantized matrices packed in unsigned integers.
            scales (array): The scales to use per ``group_size`` elements of
              ``w``.
            biases (array or None): The biases to use per ``group_size`` elements
              of ``w``. ``None`` for modes that have none.
            rhs_indices (array): Integer indices for ``w`` of shape ``(..., k)``.
            weights (array): Weights of shape ``(..., k)`` and of type ``T`` or
              ``float32``.
            transpose (bool, optional): Defines whether to multiply with the
              transposed matrices or not. Default: ``True``.
            group_size (int, optional): The size of the group in ``w`` that
              shares a scale and bias. See supported values and defaults in the
              :ref:`table of quantization modes <quantize-modes>`.
              Default: ``None``.
            bits (int, optional): The number of bits occupied by each element of
              ``w``. See supported values and defaults in the
              :ref:`table of quantization modes <quantize-modes>`.
              Default: ``None``.
            mode (str, optional): The quantization mode. Default: ``"affine"``.
            accumulate (str, optional): How the products are added up.

              * ``"fma"``: with fused multiply-adds in ``float32``.
              * ``"no_fma"``: product and sum each rounded to ``float32``.
              * ``"exact"``: weight, product and sum each rounded to ``T``.
              * ``"fp32"``, ``"fp32_no_fma"``: as ``"fma"`` and ``"no_fma"``,
                the result in ``float32``.
              * ``"native"``: as the multiplication and sum of MLX do.

              Default: ``"exact"``.

        Returns:
            array: The weighted sum of shape ``(..., N)``.
      )pbdoc");
}
