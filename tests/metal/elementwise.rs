//! What follows the products, bit by bit: the operations of fused/elementwise.h by themselves,
//! against their definition and against stock's.

use half::{bf16, f16};
use mlx_fork::emulator::{Build, Data, Habit, Kernel, Launch, Numerics, Text};
use mlx_fork::parity::chain::Activation;
use mlx_fork::parity::float::Float;
use mlx_fork::parity::random::Stream;

use crate::primitive::emulator;

/// Gates, what stock's operations make of the same, and the functions that the gates call.
const SOURCE: &str = r#"
#include "mlx/backend/metal/kernels/utils.h"
#include "mlx/backend/metal/kernels/unary_ops.h"
#include "mlx/backend/metal/kernels/binary_ops.h"
#include "mlx/backend/metal/kernels/fused/elementwise.h"

template <typename T>
T stock_silu(T g) {
  T s = Sigmoid{}(g);
  T a = g * s;
  return a;
}

template <typename T>
T stock_gelu_approx(T g) {
  T cube = Power{}(g, T(3.0f));
  T term = cube * T(0.044715f);
  T inner = g + term;
  T scaled = inner * T(0.7978845608028654f);
  T t = Tanh{}(scaled);
  T factor = t + T(1.0f);
  T half_g = g * T(0.5f);
  T a = half_g * factor;
  return a;
}

template <typename T>
[[kernel]] void gates(
    const device T* g [[buffer(0)]],
    const device T* u [[buffer(1)]],
    device T* out [[buffer(2)]],
    device T* stock [[buffer(3)]],
    const constant int& activation [[buffer(4)]],
    uint i [[thread_position_in_grid]]) {
  out[i] = mlx::fused::gate<T>(float(g[i]), float(u[i]), activation);
  T a = activation == mlx::fused::Silu ? stock_silu(g[i])
                                       : stock_gelu_approx(g[i]);
  stock[i] = a * u[i];
}

template <typename T>
[[kernel]] void functions(
    const device T* v [[buffer(0)]],
    device T* exp [[buffer(1)]],
    device T* cube [[buffer(2)]],
    device T* tanh [[buffer(3)]],
    uint i [[thread_position_in_grid]]) {
  exp[i] = static_cast<T>(metal::precise::exp(metal::abs(float(v[i]))));
  cube[i] = static_cast<T>(metal::precise::pow(float(v[i]), 3.0f));
  tanh[i] = static_cast<T>(metal::precise::tanh(float(v[i])));
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
  instantiate_kernel("functions_" #type, functions, type) \
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
    (bytes(float, &numbers), numbers)
}

/// Numbers of a type as bytes.
fn bytes(float: Float, numbers: &[f32]) -> Vec<u8> {
    let bytes = numbers.iter().flat_map(|v| match float {
        Float::F32 => v.to_le_bytes().to_vec(),
        Float::F16 => f16::from_f32(*v).to_le_bytes().to_vec(),
        Float::Bf16 => bf16::from_f32(*v).to_le_bytes().to_vec(),
    });
    bytes.collect()
}

/// What is no number or no usual one, and where exp, tanh and the sigmoid saturate: each with
/// each, in place of the first values of g and u.
fn put_special(float: Float, g: &mut [f32], u: &mut [f32]) {
    let special = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        4.0,
        -4.0,
        12.0,
        -12.0,
        87.0,
        -88.0,
        -91.0,
        -104.0,
        3e4,
        -3e4,
        1e30,
        -1e30,
    ];
    for (row, gate) in special.iter().enumerate() {
        for (column, up) in special.iter().enumerate() {
            let at = row * special.len() + column;
            (g[at], u[at]) = (round(float, *gate), round(float, *up));
        }
    }
}

/// The same bits, or both NaN.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
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

/// exp of the magnitude, the cube and tanh of each, as the kernels' own functions have them.
fn functions(kernel: &Kernel, float: Float, v: &[f32]) -> [Vec<f32>; 3] {
    let v = bytes(float, v);
    let size = v.len() as u64;
    let outcome = Launch::new(kernel)
        .buffer(0, "v", Data::untyped(v))
        .output(1, "exp", size)
        .output(2, "cube", size)
        .output(3, "tanh", size)
        .threadgroups([COUNT as u32 / 256, 1, 1])
        .group([256, 1, 1])
        .run()
        .unwrap();
    [1, 2, 3].map(|i| numbers(float, &outcome.buffers[&i]))
}

/// The activations by their definition, given what the functions in them are.
fn activations(kernel: &Kernel, float: Float, activation: Activation, g: &[f32]) -> Vec<f32> {
    let r = |v: f32| round(float, v);
    let [e, cubes, _] = functions(kernel, float, g);
    match activation {
        Activation::Silu => g
            .iter()
            .zip(&e)
            .map(|(g, e)| {
                let y = r(1.0 / r(1.0 + e));
                let s = if *g < 0.0 { y } else { r(1.0 - y) };
                r(g * s)
            })
            .collect(),
        Activation::GeluApprox => {
            let scaled: Vec<f32> = g
                .iter()
                .zip(&cubes)
                .map(|(g, cube)| {
                    let inner = r(g + r(r(0.044_715) * cube));
                    r(r(0.797_884_6) * inner)
                })
                .collect();
            let [_, _, tanh] = functions(kernel, float, &scaled);
            g.iter()
                .zip(&tanh)
                .map(|(g, t)| r(r(0.5 * g) * r(1.0 + t)))
                .collect()
        }
    }
}

#[test]
fn given_exp_power_and_tanh_the_gates_have_the_bits_of_their_definitions() {
    let program = program();
    for (float, name) in TYPES {
        let ((_, mut g), (_, mut u)) = (values(float, "g", 6.0), values(float, "u", 2.0));
        put_special(float, &mut g, &mut u);
        let (g_bytes, u_bytes) = (bytes(float, &g), bytes(float, &u));
        let both = [Activation::Silu, Activation::GeluApprox];
        for (numerics, activation) in variants().into_iter().flat_map(|n| both.map(|a| (n, a))) {
            let kernel = |what: &str| {
                let name = format!("{what}_{name}");
                program.kernel(&name, Build::Plain, numerics).unwrap()
            };
            let gates = kernel("gates");
            let size = g_bytes.len() as u64;
            let outcome = Launch::new(&gates)
                .buffer(0, "g", Data::untyped(g_bytes.clone()))
                .buffer(1, "u", Data::untyped(u_bytes.clone()))
                .output(2, "out", size)
                .output(3, "stock", size)
                .value(4, "activation", activation as i32)
                .threadgroups([COUNT as u32 / 256, 1, 1])
                .group([256, 1, 1])
                .run()
                .unwrap();
            let faults = &outcome.report.faults;
            assert!(faults.is_empty(), "{faults:?}");
            let [out, stock] = [2, 3].map(|i| numbers(float, &outcome.buffers[&i]));
            let a = activations(&kernel("functions"), float, activation, &g);
            for i in 0..COUNT {
                let want = round(float, a[i] * u[i]);
                let at = format!("{activation:?} {name} {numerics:?} of {} {}", g[i], u[i]);
                assert!(same(out[i], want), "{at}: {} is not {want}", out[i]);
                // Where operations round one by one, stock's chain is the definition too.
                let one_by_one = numerics.habit == Habit::Each && !numerics.contract;
                let stock_differs = one_by_one && !same(stock[i], out[i]);
                assert!(
                    !stock_differs,
                    "{at}: {} is not stock's {}",
                    out[i], stock[i]
                );
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
                .buffer(1, "y", Data::untyped(y_bytes.clone()))
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
