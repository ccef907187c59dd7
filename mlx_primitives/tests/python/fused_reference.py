# Copyright © 2026 The mlx-fork authors

"""References for the tests of the fused primitives, independent of MLX.

Quantized matrices are unpacked with NumPy from their packed words, products are
float64, and roundings to MLX's types are done on bits.
"""

import mlx.core as mx
import numpy as np

FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
FP4 = np.concatenate([FP4, -FP4])

# (mode, bits, group_size)
QUANTIZATIONS = [
    ("affine", bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)
] + [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)]

DTYPES = [mx.float32, mx.float16, mx.bfloat16]

# The relative step of each type.
EPS = {mx.float32: 2.0**-23, mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7}


def to_numpy(a, dtype=np.float64):
    """An MLX array of any floating type."""
    return np.array(a.astype(mx.float32)).astype(dtype)


def round_to(v, dtype):
    """float32 values rounded to an MLX type, to nearest even, as float32."""
    v = np.asarray(v, dtype=np.float32)
    if dtype == mx.float16:
        with np.errstate(over="ignore"):
            return v.astype(np.float16).astype(np.float32)
    if dtype == mx.bfloat16:
        bits = v.view(np.uint32).astype(np.uint64)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        rounded = bits.astype(np.uint32).view(np.float32)
        return np.where(np.isnan(v), v, rounded)
    return v


def fma(a, b, c):
    """a * b + c of float32 values, rounded once to float32."""
    product = np.float64(a) * np.float64(b)  # exact
    c = np.float64(c)
    total = product + c
    part = total - product
    error = (product - (total - part)) + (c - part)
    # Round to odd, so that the second rounding sees what the first one dropped.
    bits = total.view(np.int64) if total.ndim else np.array([total]).view(np.int64)
    error = np.reshape(error, bits.shape)
    away = (error > 0) == (np.reshape(total, bits.shape) > 0)
    odd = np.where((error != 0) & (bits & 1 == 0), bits + np.where(away, 1, -1), bits)
    return odd.view(np.float64).astype(np.float32).reshape(np.shape(total))


def fp8_e4m3(codes):
    codes = codes.astype(np.int64)
    exponent = (codes >> 3) & 15
    mantissa = (codes & 7).astype(np.float64)
    v = np.where(
        exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0)
    )
    return np.where(codes & 128, -v, v)


def unpack(w, bits):
    """The codes in the words of w, of shape (..., words * 32 / bits)."""
    w = np.ascontiguousarray(np.array(w)).astype("<u4")
    stream = np.unpackbits(w.view(np.uint8), axis=-1, bitorder="little")
    stream = stream.reshape(*w.shape[:-1], -1, bits).astype(np.int64)
    return (stream << np.arange(bits)).sum(-1)


def dequantize(w, scales, biases, mode, bits, group_size):
    """The float64 matrices that w, scales and biases stand for."""
    codes = unpack(w, bits)
    groups = codes.reshape(*codes.shape[:-1], -1, group_size)
    if mode == "affine":
        values = groups * to_numpy(scales)[..., None] + to_numpy(biases)[..., None]
    else:
        values = fp8_e4m3(groups) if bits == 8 else FP4[groups]
        scale_codes = np.array(scales)
        if group_size == 16:
            scale = fp8_e4m3(scale_codes)
        else:
            scale = 2.0 ** (scale_codes.astype(np.float64) - 127)
        values = values * scale[..., None]
    return values.reshape(codes.shape)


def quantize(rng, shape, mode, bits, group_size, dtype):
    """A random quantized batch: (w, scales, biases or None), and its values."""
    values = mx.array(rng.standard_normal(shape).astype(np.float32)).astype(dtype)
    parts = mx.quantize(values, group_size=group_size, bits=bits, mode=mode)
    w, scales, *biases = parts
    biases = biases[0] if biases else None
    return (w, scales, biases), dequantize(w, scales, biases, mode, bits, group_size)


def constant_rows(values, dtype, group_size=32, bits=4):
    """A matrix whose product with [1, 0, ..., 0] (32 long) is exactly `values`."""
    values = np.asarray(values, dtype=np.float32)
    shape = (*values.shape, 32 * bits // 32)
    w = mx.zeros(shape, dtype=mx.uint32)
    biases = mx.array(values).astype(dtype)[..., None]
    return w, mx.zeros_like(biases), biases


def same_bits(a, b):
    """Whether two MLX arrays are equal, any NaN being equal to any NaN."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    a, b = to_numpy(a, np.float32), to_numpy(b, np.float32)
    nan = np.isnan(a)
    return np.array_equal(nan, np.isnan(b)) and np.array_equal(
        a[~nan].view(np.uint32), b[~nan].view(np.uint32)
    )
