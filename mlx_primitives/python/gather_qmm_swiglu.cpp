// Copyright © 2026 The mlx-fork authors

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>

#include "mlx/fused/gather_qmm_swiglu.h"

namespace mx = mlx::core;
namespace nb = nanobind;
using namespace nb::literals;

void init_gather_qmm_swiglu(nb::module_& m) {
  m.def(
      "gather_qmm_swiglu",
      &mx::gather_qmm_swiglu,
      "x"_a,
      "gate_w"_a,
      "gate_scales"_a,
      "gate_biases"_a.none(),
      "up_w"_a,
      "up_scales"_a,
      "up_biases"_a.none(),
      "lhs_indices"_a = nb::none(),
      "rhs_indices"_a = nb::none(),
      "transpose"_a = true,
      "group_size"_a = nb::none(),
      "bits"_a = nb::none(),
      "mode"_a = "affine",
      "activation"_a = "silu",
      "sorted_indices"_a = false,
      nb::kw_only(),
      "stream"_a = nb::none(),
      nb::sig(
          "def gather_qmm_swiglu(x: array, gate_w: array, gate_scales: array, gate_biases: Optional[array], up_w: array, up_scales: array, up_biases: Optional[array], lhs_indices: Optional[array] = None, rhs_indices: Optional[array] = None, transpose: bool = True, group_size: Optional[int] = None, bits: Optional[int] = None, mode: str = 'affine', activation: str = 'silu', sorted_indices: bool = False, *, stream: Union[None, Stream, Device] = None) -> array"),
      R"pbdoc(
        Perform two quantized matrix multiplications with matrix-level gather
        and gate one with the activation of the other.

        The result is ``activation(x @ gate) * (x @ up)``, as in the experts of
        a mixture of experts, where each product is :func:`gather_qmm` or,
        without indices, :func:`quantized_matmul`. Shapes, defaults and type
        promotion are theirs. The products are summed in ``float32`` and rounded
        to the type of the result, as is each step of the activation.

        Where an index is negative or too large the result is NaN.

        Gradients are defined with respect to ``x``.

        Args:
            x (array): Input array.
            gate_w (array): Quantized matrices of the gate packed in unsigned
              integers.
            gate_scales (array): The scales to use per ``group_size`` elements of
              ``gate_w``.
            gate_biases (array or None): The biases to use per ``group_size``
              elements of ``gate_w``. ``None`` for modes that have none.
            up_w (array): Quantized matrices of the shape of ``gate_w``.
            up_scales (array): The scales of ``up_w``.
            up_biases (array or None): The biases of ``up_w``.
            lhs_indices (array, optional): Integer indices for ``x``.
              Default: ``None``.
            rhs_indices (array, optional): Integer indices for ``gate_w`` and
              ``up_w``. Default: ``None``.
            transpose (bool, optional): Defines whether to multiply with the
              transposed matrices or not. Default: ``True``.
            group_size (int, optional): The size of the group that shares a
              scale and bias. See supported values and defaults in the
              :ref:`table of quantization modes <quantize-modes>`.
              Default: ``None``.
            bits (int, optional): The number of bits occupied by each element.
              See supported values and defaults in the
              :ref:`table of quantization modes <quantize-modes>`.
              Default: ``None``.
            mode (str, optional): The quantization mode. Default: ``"affine"``.
            activation (str, optional): ``"silu"`` or ``"gelu_approx"``.
              Default: ``"silu"``.
            sorted_indices (bool, optional): May allow a faster implementation
              if the passed indices are sorted. Default: ``False``.

        Returns:
            array: The gated product.
      )pbdoc");
}
