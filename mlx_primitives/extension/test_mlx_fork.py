"""The extension on an installed MLX: run with both on the path of Python.

PYTHONPATH=PREFIX/python python -m unittest mlx_primitives/extension/test_mlx_fork.py
"""

import os
import subprocess
import sys
import tempfile
import unittest

import mlx.core as mx

STOCK_HAD = {name for name in dir(mx)}

import mlx_fork

OPS = [name for name in mlx_fork.__all__ if name.startswith("gather_qmm_")]


def experts(*shape):
    return mx.quantize(mx.random.normal(shape), group_size=32, bits=4)


class TestExtension(unittest.TestCase):
    def setUp(self):
        mx.random.seed(1)
        self.gate, self.up = experts(4, 64, 32), experts(4, 64, 32)
        self.x = mx.random.normal((3, 1, 1, 32))
        self.how = dict(
            rhs_indices=mx.array([[0, 1], [2, 3], [1, 1]], dtype=mx.uint32),
            group_size=32,
            bits=4,
        )
        # Shapeless compilation takes no captured graphs of random numbers.
        mx.eval(self.gate, self.up, self.x)

    def swiglu(self, x):
        return mlx_fork.gather_qmm_swiglu(x, *self.gate, *self.up, **self.how)

    def composed(self, x):
        g = mx.gather_qmm(x, *self.gate, **self.how)
        return g * mx.sigmoid(g) * mx.gather_qmm(x, *self.up, **self.how)

    def test_ops_are_in_mlx_core_where_it_lacks_them(self):
        self.assertIn("gather_qmm_swiglu", OPS)
        for name in OPS:
            same = getattr(mx, name) is getattr(mlx_fork, name)
            self.assertEqual(same, name not in STOCK_HAD, name)

    def test_result_is_that_of_the_composition(self):
        y = self.swiglu(self.x)
        self.assertEqual(y.shape, (3, 2, 1, 64))
        self.assertTrue(mx.allclose(y, self.composed(self.x), rtol=1e-4, atol=1e-3))
        self.assertIn(mlx_fork.last_path("gather_qmm_swiglu"), ["fast", "general"])

    def test_compile_and_grad(self):
        compiled = mx.compile(self.swiglu, shapeless=True)
        self.assertTrue(mx.array_equal(compiled(self.x), self.swiglu(self.x)))
        ours = mx.grad(lambda x: self.swiglu(x).sum())(self.x)
        stock = mx.grad(lambda x: self.composed(x).sum())(self.x)
        self.assertTrue(mx.allclose(ours, stock, rtol=1e-3, atol=1e-2))

    def test_streams_of_mlx_core_are_taken(self):
        stream = mx.new_stream(mx.cpu)
        y = mlx_fork.gather_qmm_swiglu(
            self.x, *self.gate, *self.up, **self.how, stream=stream
        )
        self.assertTrue(mx.array_equal(y, self.swiglu(self.x)))

    def test_export_fails_and_says_why(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "graph.mlxfn")
            with self.assertRaisesRegex(ValueError, "table.*is_internal"):
                mx.export_function(path, self.swiglu, self.x)

    def test_wrong_arguments_are_value_errors_that_name_the_op(self):
        with self.assertRaisesRegex(ValueError, r"\[gather_qmm_swiglu\].*relu"):
            mlx_fork.gather_qmm_swiglu(
                self.x, *self.gate, *self.up, **self.how, activation="relu"
            )

    def test_another_version_of_mlx_is_refused(self):
        lie = "import mlx.core as mx; mx.__version__ = '0.0.1'; import mlx_fork"
        done = subprocess.run([sys.executable, "-c", lie], capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        said = done.stderr.decode()
        self.assertIn("ImportError: mlx_fork was built for MLX", said)
        self.assertIn("0.0.1", said)


if __name__ == "__main__":
    unittest.main()
