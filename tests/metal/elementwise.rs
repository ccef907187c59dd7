//! What follows the products, bit by bit: the operations of fused/elementwise.h by themselves,
//! against their definition and against stock's.

use half::{bf16, f16};
use mlx_fork::emulator::{Build, Habit, Launch, Numerics, Text};
use mlx_fork::parity::float::Float;
use mlx_fork::parity::random::Stream;

use crate::primitive::emulator;

/// Gates, and what stock's operations make of the same: e, and the sigmoid of unary_ops.h.
const SOURCE: &str = r#"
#include "mlx/backend/metal/kernels/utils.h"
#include "mlx/backend/metal/kernels/unary_ops.h"
#include "mlx/backend/metal/kernels/fused/elementwise.h"

template <typename T>
[[kernel]] void gates(
    const device T* g [[buffer(0)]],
    const device T* u [[buffer(1)]],
    device T* out [[buffer(2)]],
    device T* e [[buffer(3)]],
    device T* stock [[buffer(4)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = mlx::fused::gate<T>(float(g[i]), float(u[i]), mlx::fused::Silu);
  e[i] = static_cast<T>(metal::precise::exp(metal::abs(float(g[i]))));
  T s = Sigmoid{}(g[i]);
  T a = g[i] * s;
  stock[i] = a * u[i];
}

template <typename T>
[[kernel]] void steps(
    const device float* acc [[buffer(0)]],
    const device T* y [[buffer(1)]],
    const device float* weight [[buffer(2)]],
    device float* out [[buffer(3)]],
    const constant int& rounding [[buffer(4)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = mlx::fused::weighted_step<T>(
      acc[i], float(y[i]), weight[i], rounding);
}

#define instantiate(type) \
  instantiate_kernel("gates_" #type, gates, type) \
  instantiate_kernel("steps_" #type, steps, type)
instantiate(float) instantiate(float16_t) instantiate(bfloat16_t)
"#;

const COUNT: usize = 4096;

const TYPES: [(Float, &str); 3] = [
    (Float::F32, "float"),
    (Float::F16, "float16_t"),
    (Float::Bf16, "bfloat16_t"),
];

fn variants() -> Vec<Numerics> {
    let habits = [Habit::Each, Habit::Excess].into_iter();
    habits
        .flat_map(|habit| [false, true].map(|contract| Numerics { contract, habit }))
        .collect()
}

/// Values of a type as bytes, and as numbers.
fn values(float: Float, word: &str, scale: f64) -> (Vec<u8>, Vec<f32>) {
    let stream = Stream::new(1, &["elementwise", word]);
    let numbers: Vec<f32> = (0..COUNT as u64)
        .map(|i| float.round(stream.bell(i) * scale) as f32)
        .collect();
    let bytes = numbers.iter().flat_map(|v| match float {
        Float::F32 => v.to_le_bytes().to_vec(),
        Float::F16 => f16::from_f32(*v).to_le_bytes().to_vec(),
        Float::Bf16 => bf16::from_f32(*v).to_le_bytes().to_vec(),
    });
    (bytes.collect(), numbers)
}

fn numbers(float: Float, bytes: &[u8]) -> Vec<f32> {
    match float {
        Float::F32 => read(bytes, f32::from_le_bytes),
        Float::F16 => read(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Float::Bf16 => read(bytes, |b| bf16::from_le_bytes(b).to_f32()),
    }
}

fn read<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes
        .chunks_exact(N)
        .map(|b| one(b.try_into().unwrap()))
        .collect()
}

fn round(float: Float, v: f32) -> f32 {
    match float {
        Float::F32 => v,
        Float::F16 => f16::from_f32(v).to_f32(),
        Float::Bf16 => bf16::from_f32(v).to_f32(),
    }
}

fn program() -> mlx_fork::emulator::Program<'static> {
    let source = Text::Inline {
        name: "elementwise.metal".into(),
        text: SOURCE.into(),
    };
    emulator().read(source).unwrap()
}

#[test]
fn given_exp_the_gate_has_the_bits_of_its_definition() {
    let program = program();
    for (float, name) in TYPES {
        let (g_bytes, g) = values(float, "g", 6.0);
        let (u_bytes, u) = values(float, "u", 2.0);
        for numerics in variants() {
            let kernel = program
                .kernel(&format!("gates_{name}"), Build::Plain, numerics)
                .unwrap();
            let size = g_bytes.len() as u64;
            let outcome = Launch::new(&kernel)
                .buffer(0, "g", mlx_fork::emulator::Data::untyped(g_bytes.clone()))
                .buffer(1, "u", mlx_fork::emulator::Data::untyped(u_bytes.clone()))
                .output(2, "out", size)
                .output(3, "e", size)
                .output(4, "stock", size)
                .threadgroups([COUNT as u32 / 256, 1, 1])
                .group([256, 1, 1])
                .run()
                .unwrap();
            assert!(
                outcome.report.faults.is_empty(),
                "{:?}",
                outcome.report.faults
            );
            let [out, e, stock] = [2, 3, 4].map(|i| numbers(float, &outcome.buffers[&i]));
            let r = |v: f32| round(float, v);
            let (mut stock_differs, mut bits) = (0, 0);
            for i in 0..COUNT {
                let y = r(1.0 / r(1.0 + e[i]));
                let s = if g[i] < 0.0 { y } else { r(1.0 - y) };
                let want = r(r(g[i] * s) * u[i]);
                bits += usize::from(out[i].to_bits() != want.to_bits());
                stock_differs += usize::from(stock[i].to_bits() != out[i].to_bits());
            }
            assert_eq!(bits, 0, "{name} {numerics:?}");
            // Where operations round one by one, stock's chain is the definition too.
            if numerics.habit == Habit::Each {
                assert_eq!(stock_differs, 0, "{name} {numerics:?}");
            }
        }
    }
}

#[test]
fn a_weighted_step_has_the_bits_of_its_definition() {
    let program = program();
    let mut parted = 0;
    for (float, name) in TYPES {
        let (_, acc) = values(Float::F32, "acc", 1.0);
        let (y_bytes, y) = values(float, "y", 1.0);
        let (_, weight) = values(Float::F32, "weight", 0.5);
        for (rounding, numerics) in (0..3).flat_map(|r| variants().into_iter().map(move |n| (r, n)))
        {
            // In the storage's steps the sum so far is of that type.
            let acc: Vec<f32> = match rounding {
                2 => acc.iter().map(|v| round(float, *v)).collect(),
                _ => acc.clone(),
            };
            let kernel = program
                .kernel(&format!("steps_{name}"), Build::Plain, numerics)
                .unwrap();
            let outcome = Launch::new(&kernel)
                .buffer(0, "acc", &acc)
                .buffer(1, "y", mlx_fork::emulator::Data::untyped(y_bytes.clone()))
                .buffer(2, "weight", &weight)
                .output(3, "out", 4 * COUNT as u64)
                .value(4, "rounding", rounding)
                .threadgroups([COUNT as u32 / 256, 1, 1])
                .group([256, 1, 1])
                .run()
                .unwrap();
            let out = outcome.values::<f32>(3);
            for i in 0..COUNT {
                let fused = y[i].mul_add(weight[i], acc[i]);
                let apart = acc[i] + y[i] * weight[i];
                let want = match rounding {
                    0 => fused,
                    1 => apart,
                    _ => round(float, acc[i] + round(float, y[i] * round(float, weight[i]))),
                };
                assert_eq!(
                    out[i].to_bits(),
                    want.to_bits(),
                    "{name} {rounding} {numerics:?}"
                );
                parted += usize::from(fused.to_bits() != apart.to_bits());
            }
        }
    }
    assert!(parted > 1000, "contraction would not show");
}
