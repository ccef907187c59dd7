//! MLX's gathered quantized products against float64.

use std::collections::BTreeSet;

use mlx_fork::emulator::{Check, CheckReport, Kernel, Launch};

use super::{clean, error, numbers, program};

const GROUP: usize = 64;

/// x (X, M, K) times the transposed rows of experts (E, N, K) in 4 bits, groups of 64.
pub struct Product {
    m: usize,
    n: usize,
    k: usize,
    w: Vec<u32>,
    scales: Vec<f32>,
    biases: Vec<f32>,
    x: Vec<f32>,
    lhs: Vec<u32>,
    rhs: Vec<u32>,
}

const EXPERTS: usize = 5;
const BLOCKS: usize = 3;

impl Product {
    pub fn new(m: usize, n: usize, k: usize) -> Self {
        let bits = |seed| numbers(seed, EXPERTS * n * k / 8);
        let low = bits(1);
        let word =
            |(a, b): (f32, f32)| ((a.to_bits() >> 3) & 0xffff) | ((b.to_bits() << 9) & 0xffff_0000);
        Product {
            m,
            n,
            k,
            w: low.into_iter().zip(bits(2)).map(word).collect(),
            scales: numbers(3, EXPERTS * n * k / GROUP),
            biases: numbers(4, EXPERTS * n * k / GROUP),
            x: numbers(5, BLOCKS * m * k),
            lhs: vec![2, 0, 0, 1],
            rhs: vec![1, 4, 0, 4],
        }
    }

    fn weight(&self, expert: usize, row: usize, column: usize) -> f64 {
        let at = (expert * self.n + row) * self.k + column;
        let code = (self.w[at / 8] >> (4 * (at % 8))) & 15;
        f64::from(self.scales[at / GROUP]) * f64::from(code) + f64::from(self.biases[at / GROUP])
    }

    pub fn reference(&self) -> Vec<f64> {
        let mut all = Vec::new();
        for (lhs, rhs) in self.lhs.iter().zip(&self.rhs) {
            for m in 0..self.m {
                for n in 0..self.n {
                    let x = &self.x[(*lhs as usize * self.m + m) * self.k..][..self.k];
                    let products = x
                        .iter()
                        .enumerate()
                        .map(|(k, x)| f64::from(*x) * self.weight(*rhs as usize, n, k));
                    all.push(products.sum());
                }
            }
        }
        all
    }

    /// Binds everything as MLX's host code does; `with_m` where the kernel is told M.
    pub fn launch<'k>(&self, kernel: &'k Kernel<'k>, with_m: bool) -> Launch<'k> {
        let (m, n, k) = (self.m as i64, self.n as i64, self.k as i64);
        let size = (self.lhs.len() * self.m * self.n * 4) as u64;
        let mut launch = Launch::new(kernel)
            .buffer(0, "w", &self.w)
            .buffer(1, "scales", &self.scales)
            .buffer(2, "biases", &self.biases)
            .buffer(3, "x", &self.x)
            .buffer(4, "lhs_indices", &self.lhs)
            .buffer(5, "rhs_indices", &self.rhs)
            .output(6, "y", size)
            .value(7, "K", k as i32)
            .value(8, "N", n as i32);
        let mut at = 9;
        if with_m {
            launch = launch.value(9, "M", m as i32);
            at = 10;
        }
        launch
            .value(at, "x_batch_ndims", 1i32)
            .bytes(at + 1, "x_shape", [BLOCKS as i32, m as i32, k as i32])
            .bytes(at + 2, "x_strides", [m * k, k, 1])
            .value(at + 3, "w_batch_ndims", 1i32)
            .bytes(at + 4, "w_shape", [EXPERTS as i32, n as i32, k as i32 / 8])
            .bytes(at + 5, "w_strides", [n * k / 8, k / 8, 1])
            .bytes(at + 6, "s_strides", [n * k / 64, k / 64, 1])
            .bytes(at + 7, "b_strides", [n * k / 64, k / 64, 1])
            .value(at + 8, "batch_ndims", 1i32)
            .bytes(at + 9, "batch_shape", [self.lhs.len() as i32])
            .bytes(at + 10, "lhs_strides", [1i64])
            .bytes(at + 11, "rhs_strides", [1i64])
    }

    fn compare(&self, report: &CheckReport) {
        let reference = self.reference();
        for run in &report.runs {
            let error = error(&run.outcome.values::<f32>(6), &reference);
            assert!(error < 1e-5, "{error:e} with {}", run.choice.show());
        }
    }
}

#[test]
fn gather_qmv_fast_is_right_and_reads_each_weight_once() {
    let product = Product::new(1, 16, 1024);
    let kernel = "affine_gather_qmv_fast_float_gs_64_b_4";
    let report = clean("quantized.metal", kernel, |kernel| {
        product
            .launch(kernel, false)
            .threadgroups([1, 2, 4])
            .group([32, 2, 1])
    });
    product.compare(&report);
    let counts = &report.runs[0].outcome.report.counts;
    let w = counts.buffers.iter().find(|b| b.index == 0).unwrap();
    // Two of four rows of indices name the same expert.
    assert_eq!(w.distinct_read, 3 * 16 * 1024 / 2);
    assert_eq!(w.read, 4 * 16 * 1024 / 2);
}

#[test]
fn gather_qmv_is_right_where_k_is_no_multiple_of_512() {
    let product = Product::new(1, 16, 320);
    let kernel = "affine_gather_qmv_float_gs_64_b_4";
    let report = clean("quantized.metal", kernel, |kernel| {
        product
            .launch(kernel, false)
            .threadgroups([1, 2, 4])
            .group([32, 2, 1])
    });
    product.compare(&report);
}

/// Stock's own: the last threadgroup steps back to have whole rows, and writes again what the one
/// before it wrote, the same values.
#[test]
fn gather_qmv_writes_rows_twice_where_n_is_no_multiple_of_8() {
    let product = Product::new(1, 11, 320);
    let kernel = "affine_gather_qmv_float_gs_64_b_4";
    let program = program("quantized.metal");
    let report = Check::new(&program, kernel)
        .run(|kernel| {
            product
                .launch(kernel, false)
                .threadgroups([1, 2, 4])
                .group([32, 2, 1])
        })
        .unwrap();
    let seen: BTreeSet<(&str, Option<&str>)> = report
        .faults
        .iter()
        .map(|fault| (fault.kind.as_str(), fault.buffer.as_deref()))
        .collect();
    assert_eq!(seen, BTreeSet::from([("race", Some("y"))]));
    product.compare(&report);
}

#[test]
fn gather_qmm_t_is_right_with_rows_left_over() {
    let product = Product::new(5, 64, 128);
    let kernel = "affine_gather_qmm_t_float_gs_64_b_4_alN_true";
    let report = clean("quantized.metal", kernel, |kernel| {
        product
            .launch(kernel, true)
            .threadgroups([2, 1, 4])
            .group([32, 2, 2])
    });
    product.compare(&report);
}

/// Stock's own: QuantizedBlockLoader::load_safe compares a row with the tile's columns, and so
/// reads weights, scales and biases of rows that are not there. A launch ends there.
#[test]
fn gather_qmm_t_reads_past_the_weights_where_columns_are_left_over() {
    let product = Product::new(5, 40, 128);
    let kernel = "affine_gather_qmm_t_float_gs_64_b_4_alN_false";
    let program = program("quantized.metal");
    let report = Check::new(&program, kernel)
        .run(|kernel| {
            product
                .launch(kernel, true)
                .threadgroups([2, 1, 4])
                .group([32, 2, 2])
        })
        .unwrap();
    assert!(!report.faults.is_empty());
    for fault in &report.faults {
        let buffer = fault.buffer.as_deref().unwrap();
        assert_eq!(fault.kind, "out_of_bounds", "{fault}");
        assert!(["w", "scales", "biases"].contains(&buffer), "{fault}");
        assert!(
            fault.place().unwrap().contains("kernels/quantized.h:"),
            "{fault}"
        );
    }
}
