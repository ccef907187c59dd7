# Copyright © 2026 The mlx-fork authors

import os
import tempfile

import fused_reference as ref
import mlx.core as mx
import mlx_tests
import numpy as np

ACCUMULATES = ["fma", "no_fma", "exact", "fp32", "fp32_no_fma", "native"]


def combine(p, weights, accumulate, dtype):
    """The steps of the weighted sum of p (..., k, N), as float32."""
    p, w = np.float32(p), np.float32(weights)[..., None]
    acc = np.zeros(np.broadcast_shapes(p.shape, w.shape), np.float32)[..., 0, :]
    for j in range(p.shape[-2]):
        p_j, w_j = p[..., j, :], w[..., j, :]
        if accumulate in ("fma", "fp32"):
            acc = ref.fma(p_j, w_j, acc)
        elif accumulate in ("no_fma", "fp32_no_fma"):
            acc = acc + p_j * w_j
        else:
            product = ref.round_to(p_j * ref.round_to(w_j, dtype), dtype)
            acc = ref.round_to(acc + product, dtype)
    return acc if accumulate.startswith("fp32") else ref.round_to(acc, dtype)


def unfused(h, m, rhs, weights, **kwargs):
    """The same in MLX's own operations, in float32."""
    f32 = lambda a: a.astype(mx.float32) if a.dtype != mx.uint32 else a
    y = mx.gather_qmm(
        f32(h)[..., None, :], *(f32(a) for a in m), rhs_indices=rhs, **kwargs
    )
    return (y.squeeze(-2) * f32(weights)[..., None]).sum(-2)


class TestGatherQMMDownprojCombine(mlx_tests.MLXTestCase):
    def make(
        self,
        batch=(2,),
        k=3,
        inner=128,
        outer=96,
        q=("affine", 4, 64),
        dtype=mx.float32,
        weights_dtype=None,
        transpose=True,
        experts=5,
    ):
        rng = np.random.default_rng(11)
        mode, bits, group = q
        shape = (experts, outer, inner) if transpose else (experts, inner, outer)
        m, values = ref.quantize(rng, shape, mode, bits, group, dtype)
        if transpose:
            values = values.swapaxes(-1, -2)
        h = mx.array(rng.standard_normal((*batch, k, inner)) / np.sqrt(inner))
        rhs = mx.array(rng.integers(0, experts, (*batch, k)))
        weights = mx.array(rng.random((*batch, k)).astype(np.float32))
        kwargs = dict(mode=mode, bits=bits, group_size=group, transpose=transpose)
        weights = weights.astype(weights_dtype or dtype)
        return h.astype(dtype), m, values, rhs, weights, kwargs

    def exact_products(self, p, dtype):
        """h, a matrix for each j, and indices, whose products are exactly p."""
        k, n = p.shape
        h = mx.zeros((k, 32), dtype=dtype)
        h[:, 0] = 1
        return h, ref.constant_rows(p, dtype), mx.arange(k)

    def run_steps(self, p, weights, accumulate, dtype):
        h, m, rhs = self.exact_products(p, dtype)
        return mx.gather_qmm_downproj_combine(
            h, *m, rhs, weights, group_size=32, accumulate=accumulate
        )

    def test_all_quantizations_and_types(self):
        for q in ref.QUANTIZATIONS:
            for dtype in ref.DTYPES:
                for transpose in (True, False):
                    with self.subTest(q=q, dtype=dtype, transpose=transpose):
                        h, m, values, rhs, weights, kwargs = self.make(
                            inner=256, outer=128, q=q, dtype=dtype, transpose=transpose
                        )
                        out = mx.gather_qmm_downproj_combine(
                            h, *m, rhs, weights, **kwargs
                        )
                        w = ref.to_numpy(weights)
                        p = np.einsum(
                            "bkK,bkKN->bkN", ref.to_numpy(h), values[np.array(rhs)]
                        )
                        want = np.einsum("bkN,bk->bN", p, w)
                        size = np.einsum("bkN,bk->bN", np.abs(p) + 1, w)
                        self.assertEqual(out.dtype, dtype)
                        self.assertEqual(out.shape, want.shape)
                        error = np.abs(ref.to_numpy(out) - want) / size
                        # The sum, and two roundings.
                        self.assertLess(error.max(), 2.0**-20 + 2 * ref.EPS[dtype])

    def test_accumulate_steps(self):
        # Products that are given numbers exactly, so each rounding shows.
        rng = np.random.default_rng(5)
        k, n = 8, 2048
        for dtype in ref.DTYPES:
            p = ref.round_to(rng.standard_normal((k, n)), dtype)
            for weights_dtype in {dtype, mx.float32}:
                w = ref.round_to(rng.standard_normal(k), weights_dtype)
                for accumulate in ACCUMULATES[:-1]:
                    with self.subTest(dtype=dtype, w=weights_dtype, a=accumulate):
                        out = self.run_steps(
                            p, mx.array(w).astype(weights_dtype), accumulate, dtype
                        )
                        fp32 = accumulate.startswith("fp32")
                        self.assertEqual(out.dtype, mx.float32 if fp32 else dtype)
                        want = combine(p, w, accumulate, dtype)
                        np.testing.assert_array_equal(
                            ref.to_numpy(out, np.float32), want
                        )

    def test_products_are_rounded(self):
        p = np.random.default_rng(8).standard_normal((1, 2048))
        for dtype in (mx.float16, mx.bfloat16):
            p = ref.round_to(p, dtype)
            h, m, rhs = self.exact_products(p, dtype)
            h = h * 1.2345
            want = ref.round_to(ref.to_numpy(h, np.float32)[0, 0] * p[0], dtype)
            for accumulate in ("fp32", "fp32_no_fma"):
                out = mx.gather_qmm_downproj_combine(
                    h, *m, rhs, mx.ones(1), group_size=32, accumulate=accumulate
                )
                np.testing.assert_array_equal(ref.to_numpy(out, np.float32), want)

    def test_contraction_shows(self):
        # The test above can tell: the two differ where it says "never".
        rng = np.random.default_rng(5)
        p = np.float32(rng.standard_normal((8, 2048)))
        w = np.float32(rng.standard_normal(8))
        fused = combine(p, w, "fp32", mx.float32)
        for accumulate in ("fp32_no_fma", "exact"):
            plain = combine(p, w, accumulate, mx.float32)
            self.assertGreater(np.count_nonzero(fused != plain), 1000)
        # One case by hand: (1 + e)(1 - e) = 1 - e^2 is 1 when rounded alone.
        e = 2.0**-13
        p = np.full((2, 32), 1 + e, np.float32)
        w = mx.array([-1.0, 1 - e])
        p[0] = 1
        out = {a: self.run_steps(p, w, a, mx.float32)[0].item() for a in ACCUMULATES}
        self.assertEqual(out["fma"], -(2.0**-26))
        self.assertEqual(out["fp32"], -(2.0**-26))
        self.assertEqual(out["no_fma"], 0)
        self.assertEqual(out["fp32_no_fma"], 0)
        self.assertEqual(out["exact"], 0)

    def test_sum_starts_at_plus_zero_and_goes_in_order(self):
        p = np.array([[1e30], [-1e30], [1.0]], np.float32).repeat(32, 1)
        for accumulate in ACCUMULATES[:-1]:
            out = self.run_steps(p, mx.ones(3), accumulate, mx.float32)
            self.assertEqual(out[0].item(), 1.0)
            out = self.run_steps(p[[2, 0, 1]], mx.ones(3), accumulate, mx.float32)
            self.assertEqual(out[0].item(), 0.0)
            out = self.run_steps(p[:1] * 0, -mx.ones(1), accumulate, mx.float32)
            self.assertEqual((1 / out[0]).item(), np.inf)

    def test_native_is_unfused(self):
        rng = np.random.default_rng(6)
        for dtype in ref.DTYPES:
            for weights_dtype in (dtype, mx.float32):
                p = ref.round_to(rng.standard_normal((8, 96)), dtype)
                w = mx.array(rng.random(8)).astype(weights_dtype)
                out = self.run_steps(p, w, "native", dtype)
                y = mx.array(p).astype(dtype)
                self.assertTrue(ref.same_bits(out, (y * w[..., None]).sum(axis=-2)))

    def test_broadcasting_and_index_types(self):
        h, m, values, rhs, weights, kwargs = self.make(batch=(2, 3), k=4)
        want = mx.gather_qmm_downproj_combine(h, *m, rhs, weights, **kwargs)
        for t in (
            mx.uint8,
            mx.uint16,
            mx.uint32,
            mx.uint64,
            mx.int8,
            mx.int16,
            mx.int32,
            mx.int64,
        ):
            out = mx.gather_qmm_downproj_combine(
                h, *m, rhs.astype(t), weights, **kwargs
            )
            self.assertTrue(ref.same_bits(out, want))

        def check(h, rhs, weights):
            batch = mx.broadcast_shapes(h.shape[:-1], rhs.shape, weights.shape)
            full = (
                mx.contiguous(mx.broadcast_to(h, (*batch, h.shape[-1]))),
                mx.contiguous(mx.broadcast_to(rhs, batch)),
                mx.contiguous(mx.broadcast_to(weights, batch)),
            )
            a = mx.gather_qmm_downproj_combine(h, *m, rhs, weights, **kwargs)
            b = mx.gather_qmm_downproj_combine(full[0], *m, full[1], full[2], **kwargs)
            self.assertTrue(ref.same_bits(a, b))

        check(h, rhs[0], weights[:, :1])
        check(h[0, 0], rhs, weights)
        check(h[:, :, :1], rhs, weights[0, 0])
        check(h, rhs[..., :1], weights[..., :1])

    def test_bad_indices_give_nan_and_nothing_else(self):
        for accumulate in ACCUMULATES:
            for dtype in ref.DTYPES:
                h, m, _, rhs, weights, kwargs = self.make(dtype=dtype, batch=(3,))
                kwargs["accumulate"] = accumulate
                good = mx.gather_qmm_downproj_combine(h, *m, rhs, weights, **kwargs)
                for bad in (5, -1, 2**31 - 1, -(2**31), 2**32, 2**32 + 1):
                    bad_rhs = rhs.astype(mx.int64)
                    bad_rhs[1, 2] = bad
                    # A weight of zero does not hide it.
                    for w in (weights, weights * 0):
                        out = mx.gather_qmm_downproj_combine(
                            h, *m, bad_rhs, w, **kwargs
                        )
                        self.assertTrue(mx.isnan(out[1]).all())
                    out = mx.gather_qmm_downproj_combine(
                        h, *m, bad_rhs, weights, **kwargs
                    )
                    self.assertTrue(ref.same_bits(out[::2], good[::2]))

    def test_layout_does_not_matter(self):
        swapped = lambda a: mx.contiguous(a.swapaxes(-1, -2)).swapaxes(-1, -2)
        strided = lambda a: mx.repeat(a, 2, axis=-1)[..., ::2]
        reversed_ = lambda a: mx.contiguous(a[..., ::-1])[..., ::-1]
        for transpose in (True, False):
            for q in [("affine", 4, 32), ("affine", 5, 64), ("mxfp8", 8, 32)]:
                h, m, _, rhs, weights, kwargs = self.make(
                    q=q, outer=128, dtype=mx.float16, transpose=transpose
                )
                want = mx.gather_qmm_downproj_combine(h, *m, rhs, weights, **kwargs)
                for f in (swapped, strided, reversed_):
                    n = [f(a) if a is not None else None for a in m]
                    out = mx.gather_qmm_downproj_combine(
                        f(h), *n, f(rhs), f(weights), **kwargs
                    )
                    self.assertTrue(ref.same_bits(out, want))

    def test_same_bits_every_time(self):
        h, m, _, rhs, weights, kwargs = self.make(batch=(4,), dtype=mx.bfloat16)
        for accumulate in ACCUMULATES:
            f = lambda: mx.gather_qmm_downproj_combine(
                h, *m, rhs, weights, accumulate=accumulate, **kwargs
            )
            self.assertTrue(ref.same_bits(f(), f()))

    def test_empty(self):
        h, m, _, rhs, weights, kwargs = self.make()
        for accumulate in ACCUMULATES:
            f = lambda h, r, w: mx.gather_qmm_downproj_combine(
                h, *m, r, w, accumulate=accumulate, **kwargs
            )
            self.assertEqual(f(h[:0], rhs[:0], weights[:0]).tolist(), [])
            none = f(h[:, :0], rhs[:, :0], weights[:, :0])
            self.assertEqual(none.shape, (2, 96))
            self.assertTrue((none == 0).all())

    def test_vjp(self):
        for dtype in ref.DTYPES:
            for accumulate in ACCUMULATES:
                h, m, _, rhs, weights, kwargs = self.make(dtype=dtype, batch=(2, 2))

                def fused(h, weights):
                    return mx.gather_qmm_downproj_combine(
                        h, *m, rhs, weights, accumulate=accumulate, **kwargs
                    )

                plain = lambda h, w: unfused(h, m, rhs, w, **kwargs)
                out = fused(h, weights)
                cotan = mx.random.normal(out.shape, key=mx.random.key(0))
                cotan = cotan.astype(out.dtype)
                f32 = [a.astype(mx.float32) for a in (h, weights, cotan)]
                _, got = mx.vjp(fused, [h, weights], [cotan])
                _, want = mx.vjp(plain, f32[:2], f32[2:])
                for g, w, primal in zip(got, want, (h, weights)):
                    self.assertEqual(g.dtype, primal.dtype)
                    self.assertEqual(g.shape, primal.shape)
                    error = mx.abs(g.astype(mx.float32) - w).max() / mx.abs(w).max()
                    self.assertLess(error.item(), 2 * ref.EPS[dtype])
                # One at a time.
                (g,) = mx.vjp(lambda w: fused(h, w), [weights], [cotan])[1]
                self.assertTrue(ref.same_bits(g, got[1]))

    def test_jvp(self):
        h, m, _, rhs, weights, kwargs = self.make()
        f = lambda h, w: mx.gather_qmm_downproj_combine(h, *m, rhs, w, **kwargs)
        th = mx.random.normal(h.shape, key=mx.random.key(1))
        tw = mx.random.normal(weights.shape, key=mx.random.key(2))
        p = lambda h, w: unfused(h, m, rhs, w, **kwargs)
        (got,) = mx.jvp(lambda h: f(h, weights), [h], [th])[1]
        self.assertTrue(mx.allclose(got, p(th, weights), rtol=1e-4, atol=1e-4))
        (got,) = mx.jvp(f, [h, weights], [th, tw])[1]
        want = p(th, weights) + p(h, tw)
        self.assertTrue(mx.allclose(got, want, rtol=1e-4, atol=1e-4))

    def test_gradients_of_nothing(self):
        h, m, _, rhs, weights, kwargs = self.make()
        no_outer = [a[:, :0] for a in m]
        cases = [
            (h[:, :0], m, rhs[:, :0], weights[:, :0]),
            (h[:0], m, rhs[:0], weights[:0]),
            (h, no_outer, rhs, weights),
        ]
        for a, matrix, indices, w in cases:
            with self.subTest(h=a.shape, w=matrix[0].shape):
                loss = lambda a, w: mx.gather_qmm_downproj_combine(
                    a, *matrix, indices, w, **kwargs
                ).sum()
                grads = mx.grad(loss, argnums=(0, 1))(a, w)
                for g, primal in zip(grads, (a, w)):
                    self.assertEqual(g.shape, primal.shape)
                    self.assertTrue(mx.all(g == 0).item())

    def test_no_gradient_for_scales(self):
        h, m, _, rhs, weights, kwargs = self.make()
        f = lambda s: mx.gather_qmm_downproj_combine(
            h, m[0], s, m[2], rhs, weights, **kwargs
        ).sum()
        with self.assertRaisesRegex(ValueError, "only to h and"):
            mx.grad(f)(m[1])
        with self.assertRaisesRegex(ValueError, "only to h and"):
            mx.jvp(f, [m[1]], [m[1]])

    def test_vmap(self):
        h, m, _, rhs, weights, kwargs = self.make(batch=(4, 2))
        op = lambda h, r, w: mx.gather_qmm_downproj_combine(h, *m, r, w, **kwargs)

        def same(args, in_axes):
            got = mx.vmap(op, in_axes=in_axes)(*args)
            rows = [
                op(
                    *(
                        mx.take(a, i, ax) if ax is not None else a
                        for a, ax in zip(args, in_axes)
                    )
                )
                for i in range(4)
            ]
            self.assertTrue(ref.same_bits(got, mx.stack(rows)))

        same((h, rhs, weights), (0, 0, 0))
        same((h, rhs[0], weights), (0, None, 0))
        same((h[0], rhs, weights[0]), (None, 0, None))
        same((h[0], rhs[0], weights), (None, None, 0))
        same((mx.moveaxis(h, 0, 2), rhs.swapaxes(0, 1), weights), (2, 1, 0))
        # Fewer dimensions where it is mapped than where it is not.
        same((h[:, 0], rhs[0], weights[0]), (0, None, None))
        same((h[0], rhs[:, 0], weights[0]), (None, 0, None))
        f = lambda s: mx.gather_qmm_downproj_combine(
            h, m[0], s, m[2], rhs, weights, **kwargs
        )
        with self.assertRaisesRegex(ValueError, "not over the"):
            mx.vmap(f)(mx.stack([m[1]] * 2))

    def test_compile(self):
        h, m, _, rhs, weights, kwargs = self.make()
        for accumulate in ACCUMULATES:

            def f(h, rhs, weights):
                return 1 + mx.gather_qmm_downproj_combine(
                    2 * h, *m, rhs, weights * 3, accumulate=accumulate, **kwargs
                )

            want = f(h, rhs, weights)
            self.assertTrue(ref.same_bits(mx.compile(f)(h, rhs, weights), want))
            g = mx.compile(f, shapeless=True)
            self.assertTrue(ref.same_bits(g(h, rhs, weights), want))
            args = (h[:1, :2], rhs[:1, :2], weights[:1, :2])
            self.assertTrue(ref.same_bits(g(*args), f(*args)))

    def test_export(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fn.mlxfn")
            for accumulate in ACCUMULATES:
                h, m, _, rhs, weights, kwargs = self.make()
                f = lambda h, rhs, weights: mx.gather_qmm_downproj_combine(
                    h, *m, rhs, weights, accumulate=accumulate, **kwargs
                )
                mx.export_function(path, f, h, rhs, weights)
                (got,) = mx.import_function(path)(h, rhs, weights)
                self.assertTrue(ref.same_bits(got, f(h, rhs, weights)))

    def test_errors_name_the_argument(self):
        h, m, _, rhs, weights, kwargs = self.make()
        w, s, b = m

        def call(h=h, m=m, rhs=rhs, weights=weights, **changed):
            return mx.gather_qmm_downproj_combine(
                h, *m, rhs, weights, **{**kwargs, **changed}
            )

        f16 = (w, s.astype(mx.float16), b.astype(mx.float16))
        for match, bad in [
            ("accumulate must be .* 'sum'", dict(accumulate="sum")),
            ("mode must be", dict(mode="")),
            ("group_size must be", dict(group_size=0)),
            ("bits must be", dict(bits=16)),
            ("w must have type uint32", dict(m=(s, s, b))),
            ("w must have at least 2", dict(m=(w[0, 0], s, b))),
            ("biases must be given", dict(m=(w, s, None))),
            ("scales must have the shape", dict(m=(w[:, :5], s, b))),
            ("scales must have the shape", dict(m=(w, s[:4], b[:4]))),
            ("h must have at least 2", dict(h=h[0, 0])),
            ("last dimension of h must be 128", dict(h=h[..., :32])),
            ("rhs_indices must have an integer", dict(rhs=rhs * 1.0)),
            ("rhs_indices must have at least 1", dict(rhs=mx.array(0))),
            ("weights must have at least 1", dict(weights=mx.array(0.0))),
            ("weights must have the type", dict(weights=rhs)),
            (
                "weights must have the type .* float16, or float32",
                dict(
                    h=h.astype(mx.float16), m=f16, weights=weights.astype(mx.bfloat16)
                ),
            ),
            ("must broadcast", dict(rhs=rhs[:, :2])),
            ("must broadcast", dict(weights=mx.zeros((5, 3)))),
        ]:
            with self.subTest(match=match):
                with self.assertRaisesRegex(
                    ValueError, r"\[gather_qmm_downproj_combine\].*" + match
                ):
                    call(**bad)


if __name__ == "__main__":
    mlx_tests.MLXTestRunner()
