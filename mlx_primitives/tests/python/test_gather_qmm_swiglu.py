# Copyright © 2026 The mlx-fork authors


import fused_reference as ref
import mlx.core as mx
import mlx_tests
import numpy as np


def silu(g, u, dtype):
    """The steps of the activation, each rounded; for e one ulp either way too."""

    def steps(e):
        r = lambda v: ref.round_to(v, dtype)
        y = r(np.float32(1) / r(np.float32(1) + e))
        s = np.where(g < 0, y, r(np.float32(1) - y))
        return r(r(g * s) * u)

    e = np.exp(np.abs(g.astype(np.float64))).astype(np.float32)
    around = [e, np.nextafter(e, np.float32(0)), np.nextafter(e, np.float32(np.inf))]
    return [steps(ref.round_to(v, dtype)) for v in around]


def gelu_approx(g):
    inner = np.sqrt(2 / np.pi) * (g + 0.044715 * g**3)
    return 0.5 * g * (1 + np.tanh(inner))


def unfused(x, gate, up, lhs=None, rhs=None, activation="silu", **kwargs):
    """The same in MLX's own operations, in float32."""

    def f32(a):
        return a.astype(mx.float32) if mx.issubdtype(a.dtype, mx.floating) else a

    def matmul(m):
        m = [f32(a) if a is not None else None for a in m]
        return mx.gather_qmm(f32(x), *m, lhs, rhs, **kwargs)

    g, u = matmul(gate), matmul(up)
    if activation == "silu":
        return g * mx.sigmoid(g) * u
    c = float(np.sqrt(2 / np.pi))
    return 0.5 * g * (1 + mx.tanh(c * (g + 0.044715 * g * g * g))) * u


class TestGatherQMMSwiGLU(mlx_tests.MLXTestCase):
    def make(
        self,
        x_shape=(3, 1, 128),
        experts=(5,),
        outer=96,
        q=("affine", 4, 64),
        dtype=mx.float32,
        transpose=True,
    ):
        rng = np.random.default_rng(7)
        mode, bits, group = q
        inner = x_shape[-1]
        shape = (*experts, outer, inner) if transpose else (*experts, inner, outer)
        gate, gate_v = ref.quantize(rng, shape, mode, bits, group, dtype)
        up, up_v = ref.quantize(rng, shape, mode, bits, group, dtype)
        if transpose:
            gate_v, up_v = gate_v.swapaxes(-1, -2), up_v.swapaxes(-1, -2)
        x = rng.standard_normal(x_shape).astype(np.float32) / np.sqrt(inner)
        kwargs = dict(mode=mode, bits=bits, group_size=group, transpose=transpose)
        return mx.array(x).astype(dtype), gate, gate_v, up, up_v, kwargs

    def check(self, out, x, gate_v, up_v, dtype, activation="silu"):
        """Against float64, x already gathered as the matrices are."""
        g, u = x @ gate_v, x @ up_v
        act = g / (1 + np.exp(-g)) if activation == "silu" else gelu_approx(g)
        expected = act * u
        self.assertEqual(out.dtype, dtype)
        self.assertEqual(out.shape, expected.shape)
        error = np.abs(ref.to_numpy(out) - expected)
        # A few roundings of parts no larger than this, and a float32 sum whose
        # terms, scales and biases apart, are several times larger.
        size = (np.abs(g) + np.abs(act) + 1) * (np.abs(u) + 1)
        self.assertLess((error / size).max(), 2.0**-18 + 4 * ref.EPS[dtype])

    def test_all_quantizations_and_types(self):
        rhs = np.array([4, 0, 2], dtype=np.uint32)
        for q in ref.QUANTIZATIONS:
            for dtype in ref.DTYPES:
                for transpose in (True, False):
                    with self.subTest(q=q, dtype=dtype, transpose=transpose):
                        x, gate, gate_v, up, up_v, kwargs = self.make(
                            x_shape=(3, 2, 256),
                            outer=128,
                            q=q,
                            dtype=dtype,
                            transpose=transpose,
                        )
                        out = mx.gather_qmm_swiglu(
                            x, *gate, *up, None, mx.array(rhs), **kwargs
                        )
                        self.check(out, ref.to_numpy(x), gate_v[rhs], up_v[rhs], dtype)

    def test_odd_sizes(self):
        # Neither size a power of two; rows of the matrix beyond any tile.
        for rows in (1, 17, 33):
            x, gate, gate_v, up, up_v, kwargs = self.make(
                x_shape=(3, rows, 192), outer=37
            )
            out = mx.gather_qmm_swiglu(
                x, *gate, *up, rhs_indices=mx.array([1, 1, 3]), **kwargs
            )
            self.check(
                out, ref.to_numpy(x), gate_v[[1, 1, 3]], up_v[[1, 1, 3]], mx.float32
            )

    def test_indices(self):
        x, gate, gate_v, up, up_v, kwargs = self.make(x_shape=(2, 3, 4, 128))
        flat = ref.to_numpy(x).reshape(6, 4, 128)
        lhs = np.array([[5, 0, 3], [1, 1, 2]])
        rhs = np.array([[4], [2]])
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
            with self.subTest(dtype=t):
                out = mx.gather_qmm_swiglu(
                    x, *gate, *up, mx.array(lhs, t), mx.array(rhs, t), **kwargs
                )
                w = np.broadcast_to(rhs, lhs.shape)
                self.check(out, flat[lhs], gate_v[w], up_v[w], mx.float32)

        # One of them by default.
        rhs = np.array([[0, 4, 2], [1, 1, 3]])
        out = mx.gather_qmm_swiglu(x, *gate, *up, rhs_indices=mx.array(rhs), **kwargs)
        self.check(out, ref.to_numpy(x), gate_v[rhs], up_v[rhs], mx.float32)
        lhs = np.array([0, 5, 2, 2, 1])
        out = mx.gather_qmm_swiglu(x, *gate, *up, mx.array(lhs), **kwargs)
        self.check(out, flat[lhs], gate_v, up_v, mx.float32)

    def test_sorted_indices(self):
        x, gate, _, up, _, kwargs = self.make(x_shape=(6, 1, 128))
        rhs = mx.array([0, 0, 1, 3, 3, 4])
        a = mx.gather_qmm_swiglu(x, *gate, *up, None, rhs, **kwargs)
        b = mx.gather_qmm_swiglu(
            x, *gate, *up, None, rhs, sorted_indices=True, **kwargs
        )
        self.assertTrue(ref.same_bits(a, b))

    def test_without_indices(self):
        for x_shape, experts in [
            ((128,), ()),
            ((4, 128), ()),
            ((2, 3, 4, 128), ()),
            ((3, 4, 128), (3,)),
            ((2, 1, 4, 128), (3,)),
            ((4, 128), (1,)),
        ]:
            with self.subTest(x=x_shape, experts=experts):
                x, gate, gate_v, up, up_v, kwargs = self.make(x_shape, experts)
                out = mx.gather_qmm_swiglu(x, *gate, *up, **kwargs)
                want = mx.quantized_matmul(x, *gate, **kwargs)
                self.assertEqual(out.shape, want.shape)
                if len(x_shape) <= 2 and experts:
                    gate_v, up_v = gate_v[0], up_v[0]
                self.check(out, ref.to_numpy(x), gate_v, up_v, mx.float32)

    def test_activation_steps(self):
        # Each product is one of two numbers, so each rounding shows.
        rng = np.random.default_rng(3)
        n = 4096
        g = rng.standard_normal(n).astype(np.float32) * 4
        g[:6] = [0.0, 100, -100, -20, 20, 1e-30]
        u = rng.standard_normal(n).astype(np.float32)
        for dtype in ref.DTYPES:
            with self.subTest(dtype=dtype):
                x = mx.zeros((1, 32), dtype=dtype)
                x[0, 0] = 1.2345
                gt, ut = ref.round_to(g, dtype), ref.round_to(u, dtype)
                out = mx.gather_qmm_swiglu(
                    x,
                    *ref.constant_rows(gt, dtype),
                    *ref.constant_rows(ut, dtype),
                    group_size=32,
                    bits=4,
                )
                out = ref.to_numpy(out, np.float32)[0].view(np.uint32)
                x = ref.to_numpy(x, np.float32)[0, 0]
                gt, ut = ref.round_to(x * gt, dtype), ref.round_to(x * ut, dtype)
                with np.errstate(all="ignore"):
                    steps = silu(gt, ut, dtype)
                matches = [out == s.view(np.uint32) for s in steps]
                self.assertTrue(np.logical_or.reduce(matches).all())

    def test_gelu_approx(self):
        for dtype in ref.DTYPES:
            x, gate, gate_v, up, up_v, kwargs = self.make(dtype=dtype)
            rhs = [2, 2, 0]
            out = mx.gather_qmm_swiglu(
                4 * x,
                *gate,
                *up,
                None,
                mx.array(rhs),
                activation="gelu_approx",
                **kwargs,
            )
            self.check(
                out,
                4 * ref.to_numpy(x),
                gate_v[rhs],
                up_v[rhs],
                dtype,
                "gelu_approx",
            )

    def test_gelu_approx_steps(self):
        # In 16 bits the last bits of pow and tanh don't show.
        rng = np.random.default_rng(4)
        g = rng.standard_normal(4096).astype(np.float32) * 2
        for dtype in (mx.float16, mx.bfloat16):
            r = lambda v: ref.round_to(v, dtype)
            gt = r(g)
            cube = r(gt.astype(np.float64) ** 3)
            inner = r(gt + r(r(0.044715) * cube))
            t = r(np.tanh(r(r(np.sqrt(2 / np.pi)) * inner).astype(np.float64)))
            want = r(r(r(0.5) * gt) * r(np.float32(1) + t))
            x = mx.zeros((1, 32), dtype=dtype)
            x[0, 0] = 1
            out = mx.gather_qmm_swiglu(
                x,
                *ref.constant_rows(gt, dtype),
                *ref.constant_rows(np.ones_like(g), dtype),
                group_size=32,
                bits=4,
                activation="gelu_approx",
            )
            out = ref.to_numpy(out, np.float32)[0]
            self.assertGreater(np.mean(out == want), 0.999)

    def test_promotion(self):
        x, gate, _, up, _, kwargs = self.make(dtype=mx.bfloat16)
        for x_type, scale_type, want in [
            (mx.float16, mx.float16, mx.float16),
            (mx.float16, mx.bfloat16, mx.float32),
            (mx.bfloat16, mx.float32, mx.float32),
            (mx.int32, mx.float16, mx.float16),
        ]:
            cast = lambda m: (m[0], m[1].astype(scale_type), m[2].astype(scale_type))
            out = mx.gather_qmm_swiglu(
                x.astype(x_type), *cast(gate), *cast(up), None, mx.array([0]), **kwargs
            )
            self.assertEqual(out.dtype, want)

    def test_bad_indices_give_nan_and_nothing_else(self):
        for dtype in ref.DTYPES:
            x, gate, _, up, _, kwargs = self.make(dtype=dtype)
            good = mx.gather_qmm_swiglu(
                x, *gate, *up, mx.array([0, 1, 2]), mx.array([4, 4, 4]), **kwargs
            )
            for lhs, rhs in [
                ([0, 3, 2], [4, 4, 4]),
                ([0, -1, 2], [4, 4, 4]),
                ([0, 1, 2], [4, 5, 4]),
                ([0, 1, 2], [4, -1, 4]),
                ([0, 1, 2], [4, 2**31 - 1, 4]),
                ([0, -(2**31), 2], [4, 4, 4]),
                ([0, 1, 2], [4, 2**32, 4]),
                ([0, 1, 2], [4, -(2**32) + 1, 4]),
            ]:
                with self.subTest(lhs=lhs, rhs=rhs, dtype=dtype):
                    out = mx.gather_qmm_swiglu(
                        x,
                        *gate,
                        *up,
                        mx.array(lhs, mx.int64),
                        mx.array(rhs, mx.int64),
                        **kwargs,
                    )
                    self.assertTrue(mx.isnan(out[1]).all())
                    self.assertTrue(ref.same_bits(out[::2], good[::2]))
        big = mx.array([2**63, 2**64 - 1, 1], mx.uint64)
        out = mx.gather_qmm_swiglu(x, *gate, *up, None, big, **kwargs)
        self.assertTrue(mx.isnan(out[:2]).all())
        self.assertFalse(mx.isnan(out[2]).any())

    def test_layout_does_not_matter(self):
        for transpose in (True, False):
            for q in [("affine", 4, 32), ("affine", 3, 32), ("nvfp4", 4, 16)]:
                x, gate, _, up, _, kwargs = self.make(
                    x_shape=(3, 2, 128),
                    outer=128,
                    transpose=transpose,
                    q=q,
                    dtype=mx.bfloat16,
                )
                rhs = mx.array([[4, 1, 2], [0, 0, 3]])

                def run(f, g):
                    m = [g(a) if a is not None else None for a in (*gate, *up)]
                    return mx.gather_qmm_swiglu(f(x), *m, None, f(rhs), **kwargs)

                def swapped(a):
                    return mx.contiguous(a.swapaxes(-1, -2)).swapaxes(-1, -2)

                def strided(a):
                    return mx.repeat(a, 2, axis=-1)[..., ::2]

                def reversed_(a):
                    return mx.contiguous(a[..., ::-1])[..., ::-1]

                def offset(a):
                    return mx.concatenate([a[:1], a])[1:]

                want = run(lambda a: a, lambda a: a)
                for f in (swapped, strided, reversed_, offset):
                    with self.subTest(f=f.__name__, q=q, transpose=transpose):
                        self.assertTrue(ref.same_bits(run(f, f), want))

                # Experts that are all the same matrix in memory.
                one = [a[:1] if a is not None else None for a in (*gate, *up)]
                many = [
                    mx.broadcast_to(a, (5, *a.shape[1:])) if a is not None else None
                    for a in one
                ]
                a = mx.gather_qmm_swiglu(x, *many, None, rhs, **kwargs)
                b = mx.gather_qmm_swiglu(x, *one, None, rhs * 0, **kwargs)
                self.assertTrue(ref.same_bits(a, b))

    def test_rows_do_not_depend_on_each_other(self):
        x, gate, _, up, _, kwargs = self.make(x_shape=(1, 19, 128))
        rhs = mx.array([3])
        all_ = mx.gather_qmm_swiglu(x, *gate, *up, None, rhs, **kwargs)
        again = mx.gather_qmm_swiglu(x, *gate, *up, None, rhs, **kwargs)
        self.assertTrue(ref.same_bits(all_, again))
        for i in range(19):
            row = mx.gather_qmm_swiglu(x[:, i : i + 1], *gate, *up, None, rhs, **kwargs)
            self.assertTrue(ref.same_bits(row, all_[:, i : i + 1]))

    def test_empty(self):
        x, gate, _, up, _, kwargs = self.make()
        none = mx.array([], mx.uint32)
        out = mx.gather_qmm_swiglu(x, *gate, *up, none, none, **kwargs)
        self.assertEqual(out.shape, (0, 1, 96))
        mx.eval(out)
        out = mx.gather_qmm_swiglu(x[:, :0], *gate, *up, rhs_indices=mx.array([0]))
        mx.eval(out)
        self.assertEqual(out.shape, (3, 0, 96))
        out = mx.gather_qmm_swiglu(x[:0], *gate, *up, mx.array([0]), mx.array([0]))
        self.assertTrue(mx.isnan(out).all())

    def test_errors_name_the_argument(self):
        x, gate, _, up, _, kwargs = self.make()
        rhs = mx.array([0, 1, 2])
        fp, fp_gate, _, fp_up, _, fp_kwargs = self.make(q=("mxfp4", 4, 32))

        def call(x=x, gate=gate, up=up, lhs=None, rhs=rhs, **changed):
            return mx.gather_qmm_swiglu(
                x, *gate, *up, lhs, rhs, **{**kwargs, **changed}
            )

        w, s, b = gate
        for match, bad in [
            ("mode must be .* 'int4'", dict(mode="int4")),
            ("activation must be .* 'relu'", dict(activation="relu")),
            ("group_size must be 32, 64 or 128", dict(group_size=48)),
            ("bits must be 2, 3, 4, 5, 6 or 8", dict(bits=7)),
            ("group_size must be 32", dict(mode="mxfp4", group_size=64)),
            ("bits must be 8", dict(mode="mxfp8", group_size=32, bits=4)),
            ("gate_w must have type uint32", dict(gate=(w.astype(mx.int32), s, b))),
            ("up_w must have type uint32", dict(up=(w.astype(mx.int32), s, b))),
            ("gate_biases must be given", dict(gate=(w, s, None))),
            ("up_biases must be given", dict(up=(w, s, None))),
            ("gate_scales must have a floating", dict(gate=(w, w, b))),
            ("gate_biases must have the shape", dict(gate=(w, s, b[:, :1]))),
            ("gate_scales must have the shape", dict(gate=(w, s[:, :1], b[:, :1]))),
            ("gate_scales must have the shape", dict(group_size=32)),
            ("up_w must have the shape of gate_w", dict(up=[a[:2] for a in up])),
            ("last dimension of x must be 128", dict(x=x[..., :64])),
            ("x must have at least 2", dict(x=x[0, 0])),
            ("x must have at least 1", dict(x=mx.array(1.0), rhs=None)),
            ("rhs_indices must have an integer", dict(rhs=rhs.astype(mx.float32))),
            ("lhs_indices must have an integer", dict(lhs=rhs > 1)),
            ("must broadcast", dict(rhs=mx.array([1, 2]))),
            ("must broadcast", dict(lhs=mx.array([1, 2]))),
            ("must broadcast", dict(rhs=None)),
            ("float32, float16 or bfloat16", dict(x=x.astype(mx.complex64))),
        ]:
            with self.subTest(match=match):
                with self.assertRaisesRegex(
                    ValueError, r"\[gather_qmm_swiglu\].*" + match
                ):
                    call(**bad)
        fp_call = lambda gate: mx.gather_qmm_swiglu(
            fp, *gate, *fp_up, None, rhs, **fp_kwargs
        )
        w, s, _ = fp_gate
        with self.assertRaisesRegex(ValueError, "gate_biases must be None"):
            fp_call((w, s, s))
        with self.assertRaisesRegex(ValueError, "gate_scales must have type uint8"):
            fp_call((w, s.astype(mx.float32), None))


if __name__ == "__main__":
    mlx_tests.MLXTestRunner()
