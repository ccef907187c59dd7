"""MLX on the emulated GPU, compared with MLX on the CPU: run by main.rs."""

import re
import unittest

import mlx.core as mx
import numpy as np

GROUP_SIZE, BITS = 64, 4


def numbers(*shape):
    values = np.random.default_rng(7).standard_normal(shape)
    return mx.array(values.astype(np.float32))


def on(device, f):
    with mx.stream(device):
        result = f()
        mx.eval(result)
    return np.array(result)


class Cases(unittest.TestCase):
    def same(self, f, tolerance=1e-6):
        gpu, cpu = on(mx.gpu, f), on(mx.cpu, f)
        self.assertEqual(gpu.shape, cpu.shape)
        error = np.abs(gpu - cpu).max() / np.abs(cpu).max()
        # NaN compares with nothing.
        self.assertLessEqual(error, tolerance)

    def quantized(self, *shape):
        return on_cpu(lambda: mx.quantize(numbers(*shape), GROUP_SIZE, BITS))

    def test_the_default_device_is_the_gpu(self):
        self.assertEqual(mx.default_device(), mx.Device(mx.gpu))
        self.assertTrue(mx.metal.is_available())

    def test_elementwise_kernels_of_the_metallib(self):
        x = numbers(3, 130)
        self.same(lambda: x + x[:, ::-1])

    def test_kernels_that_mlx_writes_at_run_time(self):
        x = numbers(5, 70)
        indices = mx.array([4, 0, 4])
        self.same(lambda: x[indices])

    def test_products_of_matrices(self):
        x = numbers(35, 70)
        y = numbers(70, 33)
        self.same(lambda: x @ y, 1e-5)
        self.same(lambda: x.T @ y.T[:, :35].T, 1e-5)

    def test_products_with_vectors_that_fill_no_threadgroup(self):
        x = numbers(1, 70)
        y = numbers(70, 36)
        self.same(lambda: x @ y, 1e-5)
        self.same(lambda: y.T @ x[0], 1e-5)

    def test_rows_by_threadgroups(self):
        x = numbers(4, 200)
        self.same(lambda: mx.softmax(x, axis=-1))

    def test_quantized_products_of_experts(self):
        w = self.quantized(4, 64, 128)
        x = numbers(2, 1, 1, 128)
        indices = mx.array([[0, 3], [3, 1]], dtype=mx.uint32)

        def product():
            return mx.gather_qmm(
                x[:, None],
                *w,
                rhs_indices=indices,
                transpose=True,
                group_size=GROUP_SIZE,
                bits=BITS,
            )

        self.same(product, 1e-5)

    def test_streams_wait_for_each_other(self):
        x = numbers(4, 128)

        def across():
            y = mx.add(x, x, stream=mx.cpu)
            z = mx.multiply(y, y, stream=mx.gpu)
            return mx.subtract(z, y, stream=mx.cpu)

        self.same(across)

    def line_of_fault(self, name, source):
        kernel = mx.fast.metal_kernel(
            name=name,
            input_names=["x"],
            output_names=["y"],
            source=source,
        )
        with self.assertRaises(RuntimeError) as raised:
            y = kernel(
                inputs=[numbers(32)],
                grid=(32, 1, 1),
                threadgroup=(32, 1, 1),
                output_shapes=[(32,)],
                output_dtypes=[mx.float32],
                stream=mx.gpu,
            )
            mx.eval(y)
        said = str(raised.exception)
        found = re.search(r":(\d+): out_of_bounds: .*\bx\b", said)
        self.assertTrue(found, said)
        return int(found[1])

    def test_an_access_beyond_a_buffer_is_an_error_with_its_line(self):
        # MLX puts the kernel's head before the text: its lines count from there.
        i = "uint i = thread_position_in_grid.x;"
        first = self.line_of_fault("beyond_1", i + "y[i] = x[i + 1];\ny[i] += 1;")
        third = self.line_of_fault("beyond_3", i + "\n\ny[i] = x[i + 1];")
        self.assertEqual(third - first, 2)
        # And the next launch is none the worse for it.
        x = numbers(32)
        self.same(lambda: x + x)

    def test_a_kernel_that_does_not_compile_is_an_error_that_says_why(self):
        kernel = mx.fast.metal_kernel(
            name="unknown",
            input_names=["x"],
            output_names=["y"],
            source="y[0] = no_such_name;",
        )
        with self.assertRaisesRegex(RuntimeError, "no_such_name"):
            y = kernel(
                inputs=[numbers(32)],
                grid=(1, 1, 1),
                threadgroup=(1, 1, 1),
                output_shapes=[(1,)],
                output_dtypes=[mx.float32],
                stream=mx.gpu,
            )
            mx.eval(y)

    def test_gather_qmm_swiglu_of_the_fork(self):
        gate, up = self.quantized(4, 64, 128), self.quantized(4, 64, 128)
        x = numbers(2, 1, 1, 128)
        indices = mx.array([[0, 3], [3, 1]], dtype=mx.uint32)

        def product():
            return mx.gather_qmm_swiglu(
                x,
                *gate,
                *up,
                rhs_indices=indices,
                group_size=GROUP_SIZE,
                bits=BITS,
            )

        self.same(product, 1e-5)

    def prompt(self, x, indices, **how):
        """What stock's tiles compute on the GPU, their weights rounded to bfloat16."""
        gate, up = (
            [a if a.dtype == mx.uint32 else a.astype(mx.bfloat16) for a in matrix]
            for matrix in (self.quantized(4, 64, 128), self.quantized(4, 64, 128))
        )
        x = x.astype(mx.bfloat16)

        def product():
            y = mx.gather_qmm_swiglu(
                x,
                *gate,
                *up,
                rhs_indices=indices,
                group_size=GROUP_SIZE,
                bits=BITS,
                **how,
            )
            return y.astype(mx.float32)

        self.same(product, 2e-2)

    def test_gather_qmm_swiglu_of_many_rows_for_a_matrix(self):
        indices = mx.array([[3], [1]], dtype=mx.uint32)
        self.prompt(numbers(2, 1, 12, 128), indices)

    def test_gather_qmm_swiglu_of_pairs_sorted_by_matrix(self):
        indices = mx.array([0] * 20 + [2] * 25 + [3] * 19, dtype=mx.uint32)
        self.prompt(numbers(64, 1, 128), indices, sorted_indices=True)

    def test_gather_qmm_downproj_combine_of_the_fork(self):
        down = self.quantized(4, 64, 128)
        h = numbers(2, 2, 128)
        indices = mx.array([[0, 3], [3, 1]], dtype=mx.uint32)
        weights = mx.array([[0.25, 0.75], [0.5, 0.5]])

        def product():
            return mx.gather_qmm_downproj_combine(
                h,
                *down,
                rhs_indices=indices,
                weights=weights,
                group_size=GROUP_SIZE,
                bits=BITS,
            )

        self.same(product, 1e-5)


def on_cpu(f):
    with mx.stream(mx.cpu):
        result = f()
        mx.eval(result)
    return result


if __name__ == "__main__":
    unittest.main()
