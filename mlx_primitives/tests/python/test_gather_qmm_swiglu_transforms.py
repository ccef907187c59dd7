# Copyright © 2026 The mlx-fork authors

import os
import tempfile

import fused_reference as ref
import mlx.core as mx
import mlx_tests
import test_gather_qmm_swiglu as base
from test_gather_qmm_swiglu import unfused


class TestGatherQMMSwiGLUTransforms(mlx_tests.MLXTestCase):
    make = base.TestGatherQMMSwiGLU.make
    check = base.TestGatherQMMSwiGLU.check

    def test_vjp(self):
        for dtype in ref.DTYPES:
            for activation in ("silu", "gelu_approx"):
                for lhs, rhs in [
                    (None, mx.array([0, 4, 2])),
                    (mx.array([1, 1]), mx.array([3, 4])),
                    (mx.array([[0], [2]]), mx.array([1, 1, 3], mx.int64)),
                ]:
                    x, gate, _, up, _, kwargs = self.make(dtype=dtype)

                    def fused(x):
                        return mx.gather_qmm_swiglu(
                            x, *gate, *up, lhs, rhs, activation=activation, **kwargs
                        )

                    def plain(x):
                        return unfused(x, gate, up, lhs, rhs, activation, **kwargs)

                    out = plain(x)
                    cotan = mx.random.normal(out.shape, key=mx.random.key(0))
                    cotan = cotan.astype(dtype)
                    _, (got,) = mx.vjp(fused, [x], [cotan])
                    _, (want,) = mx.vjp(
                        plain, [x.astype(mx.float32)], [cotan.astype(mx.float32)]
                    )
                    self.assertEqual(got.dtype, dtype)
                    self.assertEqual(got.shape, x.shape)
                    scale = mx.abs(want).max()
                    error = mx.abs(got.astype(mx.float32) - want).max() / scale
                    self.assertLess(error.item(), 2 * ref.EPS[dtype])

    def test_vjp_without_indices(self):
        for x_shape, experts in [((128,), ()), ((4, 128), ()), ((2, 4, 128), (2,))]:
            x, gate, _, up, _, kwargs = self.make(x_shape, experts)
            f = lambda x: mx.gather_qmm_swiglu(x, *gate, *up, **kwargs).sum()
            p = lambda x: unfused(x, gate, up, **kwargs).sum()
            self.assertTrue(mx.allclose(mx.grad(f)(x), mx.grad(p)(x), rtol=1e-4))

    def test_vjp_of_2d_input_and_bad_indices(self):
        x, gate, _, up, _, kwargs = self.make(x_shape=(2, 128))
        lhs, rhs = mx.array([0, 7, 0]), mx.array([1, 1, -3])
        f = lambda x, l, r: mx.gather_qmm_swiglu(x, *gate, *up, l, r, **kwargs)
        cotan = mx.ones((3, 2, 96))
        _, (got,) = mx.vjp(lambda x: f(x, lhs, rhs), [x], [cotan])
        _, (want,) = mx.vjp(lambda x: f(x, lhs[:1], rhs[:1]), [x], [cotan[:1]])
        self.assertTrue(mx.allclose(got, want, rtol=1e-5, atol=1e-6))

    def test_jvp(self):
        lhs, rhs = mx.array([2, 0]), mx.array([3, 4])
        for activation in ("silu", "gelu_approx"):
            for indices in ((lhs, rhs), (None, mx.array([1, 2, 2]))):
                x, gate, _, up, _, kwargs = self.make()
                t = mx.random.normal(x.shape, key=mx.random.key(1)) / 16
                f = lambda x: mx.gather_qmm_swiglu(
                    x, *gate, *up, *indices, activation=activation, **kwargs
                )
                p = lambda x: unfused(x, gate, up, *indices, activation, **kwargs)
                _, (got,) = mx.jvp(f, [x], [t])
                h = 1e-2
                want = (p(x + h * t) - p(x - h * t)) / (2 * h)
                self.assertTrue(mx.allclose(got, want, rtol=1e-2, atol=1e-2))
                # Against the gradient, exactly: <jvp(t), c> = <t, vjp(c)>.
                c = mx.random.normal(got.shape, key=mx.random.key(2))
                _, (grad,) = mx.vjp(f, [x], [c])
                self.assertAlmostEqual(
                    (got * c).sum().item(), (grad * t).sum().item(), places=2
                )

    def test_derivatives_of_nothing(self):
        # Unfused operations divide by these sizes.
        x, gate, _, up, _, kwargs = self.make()
        rhs = mx.array([4, 0, 2])
        none = mx.array([], dtype=mx.uint32)
        no_outer = [[a[:, :0] for a in m] for m in (gate, up)]
        cases = [
            (x[:, :0], gate, up, rhs),
            (x[:0], gate, up, none),
            (x, *no_outer, rhs),
        ]
        for a, g, u, indices in cases:
            with self.subTest(x=a.shape, w=g[0].shape):
                fn = lambda a: mx.gather_qmm_swiglu(a, *g, *u, None, indices, **kwargs)
                grad = mx.grad(lambda a: fn(a).sum())(a)
                self.assertEqual(grad.shape, a.shape)
                self.assertTrue(mx.all(grad == 0).item())
                (out,), (tangent,) = mx.jvp(fn, (a,), (mx.ones_like(a),))
                self.assertEqual(tangent.shape, out.shape)
                self.assertEqual(out.size, 0)

    def test_no_gradient_for_weights(self):
        x, gate, _, up, _, kwargs = self.make()
        rhs = mx.array([0, 1, 2])

        def with_scales(scales):
            return mx.gather_qmm_swiglu(
                x, gate[0], scales, gate[2], *up, None, rhs, **kwargs
            ).sum()

        with self.assertRaisesRegex(ValueError, "only to x"):
            mx.grad(with_scales)(gate[1])
        with self.assertRaisesRegex(ValueError, "only to x"):
            mx.jvp(with_scales, [gate[1]], [gate[1]])

    def test_vmap(self):
        x, gate, _, up, _, kwargs = self.make(x_shape=(4, 3, 2, 128))
        lhs = mx.array([[2, 0], [1, 1], [0, 5], [2, 2]])
        rhs = mx.array([[0, 4], [3, 2], [1, 1], [-1, 0]])

        def op(x, lhs, rhs):
            return mx.gather_qmm_swiglu(x, *gate, *up, lhs, rhs, **kwargs)

        def same(f, args, in_axes):
            got = mx.vmap(f, in_axes=in_axes)(*args)
            rows = [
                f(*(mx.take(a, i, ax) if ax is not None else a for a, ax in z))
                for i in range(4)
                for z in [list(zip(args, in_axes))]
            ]
            self.assertTrue(ref.same_bits(got, mx.stack(rows)))

        same(op, (x, lhs, rhs), (0, 0, 0))
        same(op, (x, lhs[0], rhs), (0, None, 0))
        same(op, (x, lhs, rhs[0]), (0, 0, None))
        same(op, (x, lhs[0], rhs[0]), (0, None, None))
        same(op, (x[0], lhs, rhs), (None, 0, 0))
        same(op, (x[0], lhs.T, rhs), (None, 1, 0))
        same(op, (x.swapaxes(0, 2), lhs, rhs.T), (2, 0, 1))
        # Indices of more dimensions than those that are not mapped.
        same(op, (x, lhs[:, None], rhs[0]), (0, 0, None))
        same(op, (x, lhs[0], mx.stack([rhs] * 4)), (0, None, 0))
        # By default.
        same(lambda x: op(x, None, mx.array([0, 1, 2])), (x,), (0,))
        same(lambda r: op(x[0], None, r[:, None]), (rhs,), (0,))
        same(lambda l: op(x[0], l[:1], None), (lhs,), (0,))
        # Without indices.
        for shape, experts in [
            ((4, 128), ()),
            ((4, 3, 128), ()),
            ((4, 3, 2, 128), ()),
            ((4, 5, 2, 128), (5,)),
            ((4, 1, 3, 128), (5,)),
            ((4, 3, 128), (5,)),
        ]:
            x, gate, _, up, _, kwargs = self.make(shape, experts)
            f = lambda x: mx.gather_qmm_swiglu(x, *gate, *up, **kwargs)
            with self.subTest(shape=shape, experts=experts):
                same(f, (x,), (0,))

    def test_no_vmap_over_weights(self):
        x, gate, _, up, _, kwargs = self.make()
        rhs = mx.array([0])
        f = lambda w: mx.gather_qmm_swiglu(x, w, *gate[1:], *up, None, rhs, **kwargs)
        with self.assertRaisesRegex(ValueError, "not over the"):
            mx.vmap(f)(mx.stack([gate[0]] * 2))

    def test_compile(self):
        x, gate, _, up, _, kwargs = self.make()
        rhs = mx.array([4, 2, 0])

        def f(x, rhs):
            return mx.gather_qmm_swiglu(x * 2, *gate, *up, None, rhs, **kwargs) + 1

        want = f(x, rhs)
        self.assertTrue(ref.same_bits(mx.compile(f)(x, rhs), want))
        g = mx.compile(f, shapeless=True)
        self.assertTrue(ref.same_bits(g(x, rhs), want))
        for n in (1, 7):
            x = mx.random.normal((n, 4, 128), key=mx.random.key(n))
            rhs = mx.arange(n) % 5
            self.assertTrue(ref.same_bits(g(x, rhs), f(x, rhs)))

        no_indices = lambda x: mx.gather_qmm_swiglu(
            x, *(a[0] for a in gate), *(a[0] for a in up), **kwargs
        )
        g = mx.compile(no_indices, shapeless=True)
        for shape in [(3, 128), (5, 128)]:
            x = mx.random.normal(shape, key=mx.random.key(0))
            self.assertTrue(ref.same_bits(g(x), no_indices(x)))

    def test_export(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fn.mlxfn")
            for q in [("affine", 4, 64), ("mxfp4", 4, 32)]:
                for indices in (True, False):
                    x, gate, _, up, _, kwargs = self.make(q=q)
                    m = [a for a in (*gate, *up) if a is not None]

                    def f(x, rhs, *m):
                        n = len(m) // 2
                        pad = [None] * (3 - n)
                        return mx.gather_qmm_swiglu(
                            x,
                            *m[:n],
                            *pad,
                            *m[n:],
                            *pad,
                            rhs_indices=rhs if indices else None,
                            activation="gelu_approx",
                            **kwargs,
                        )

                    if not indices:
                        m = [a[:3] for a in m]
                    rhs = mx.array([1, 3, 4])
                    mx.export_function(path, f, x, rhs, *m)
                    (got,) = mx.import_function(path)(x, rhs, *m)
                    self.assertTrue(ref.same_bits(got, f(x, rhs, *m)))


if __name__ == "__main__":
    mlx_tests.MLXTestRunner()
