//! The elementwise chains after the dots, step by step in the result's type, for intervals:
//! every step rounds, rounding keeps order, so the ends of an interval bound all of it.

use super::arithmetic::Arithmetic;
use super::dot::Dot;
use super::float::Float;
use super::judge::NOT_FINITE;

/// The activations of gather_qmm_swiglu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// g · sigmoid(g), the sigmoid by MLX's formula.
    Silu,
    /// MLX's nn.gelu_approx.
    GeluApprox,
}

impl Activation {
    /// The name of the argument `activation`.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Silu => "silu",
            Activation::GeluApprox => "gelu_approx",
        }
    }

    /// Without any rounding.
    pub fn exact(self, g: f64) -> f64 {
        match self {
            Activation::Silu => g / (1.0 + (-g).exp()),
            Activation::GeluApprox => {
                0.5 * g * (1.0 + (GELU_SCALE * (g + GELU_CUBE * g.powi(3))).tanh())
            }
        }
    }
}

const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBE: f64 = 0.044_715;

/// Smallest and largest admissible value.
pub type Interval = (f64, f64);

/// The type in which a chain is computed, and on what.
pub type On = (Float, Arithmetic);

/// r(activation(g)·u) for g and u anywhere in their intervals.
pub fn gated(on: On, activation: Activation, g: Dot, u: Dot) -> Interval {
    // Both dots are of one row: where one is not finite, neither is. The activation of what
    // is not finite isn't either (of −∞ it is −∞·0), nor is its product with u.
    if (g.low, g.high) == NOT_FINITE && (u.low, u.high) == NOT_FINITE {
        return NOT_FINITE;
    }
    let a = activate(on, activation, (g.low, g.high));
    product(on, a, (u.low, u.high))
}

/// The activation of every value of `float` in the interval: one by one where they are few
/// (16-bit types, exact dots), by the ends of each step where they are many.
pub fn activate(on: On, activation: Activation, (low, high): Interval) -> Interval {
    let float = on.0;
    if low.is_nan() || high.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    if float.order(high) - float.order(low) > 64 {
        return across(on, activation, (low, high));
    }
    let mut g = low;
    // -0 and +0 are the same place, and both count.
    let mut all = hull(
        across(on, activation, (low, low)),
        across(on, activation, (high, high)),
    );
    while g < high {
        g = float.above(g);
        all = hull(all, across(on, activation, (g, g)));
    }
    all
}

fn across(on: On, activation: Activation, g: Interval) -> Interval {
    let half_g = match activation {
        Activation::Silu => g,
        Activation::GeluApprox => step(on, g, |g| 0.5 * g),
    };
    let factor = match activation {
        Activation::Silu => (sigmoid(on, g.0).0, sigmoid(on, g.1).1),
        Activation::GeluApprox => (gelu_factor(on, g.0).0, gelu_factor(on, g.1).1),
    };
    product(on, half_g, factor)
}

/// A rounded operation that grows with what goes in.
fn step((float, arithmetic): On, v: Interval, of: impl Fn(f64) -> f64) -> Interval {
    arithmetic.kept((float.round(of(v.0)), float.round(of(v.1))))
}

/// MLX's sigmoid of one value: what it may be, given what exp may err. Increasing in g.
fn sigmoid(on: On, g: f64) -> Interval {
    let (float, arithmetic) = on;
    let e = function(on, arithmetic.exp, g.abs().exp());
    let y = step(on, (e.1, e.0), |e| 1.0 / float.round(1.0 + e));
    if g < 0.0 {
        y
    } else {
        step(on, (y.1, y.0), |y| 1.0 - y)
    }
}

/// 1 + tanh(c·(g + d·g³)), step by step. Increasing in g.
fn gelu_factor(on: On, g: f64) -> Interval {
    let (float, arithmetic) = on;
    let (scale, cube) = (float.round(GELU_SCALE), float.round(GELU_CUBE));
    let power = function(on, arithmetic.pow, g.powi(3));
    let term = step(on, power, |power| cube * power);
    let inner = step(on, term, |term| g + term);
    let scaled = step(on, inner, |inner| scale * inner);
    // No device's tanh leaves -1 … 1.
    let low = function(on, arithmetic.tanh, scaled.0.tanh()).0.max(-1.0);
    let high = function(on, arithmetic.tanh, scaled.1.tanh()).1.min(1.0);
    step(on, (low, high), |t| 1.0 + t)
}

/// r(f(v)) where the device's float32 f may err by so many ulps; `v` is the true value.
fn function((float, arithmetic): On, ulps: f64, v: f64) -> Interval {
    if v.is_infinite() {
        return (v, v);
    }
    // An ulp is at most 2^-23 of the value; the relative form keeps order across exponents.
    let slack = ulps * (2.0 * Float::F32.unit_roundoff() * v.abs() + Float::F32.ulp(0.0));
    arithmetic.kept((float.round(v - slack), float.round(v + slack)))
}

/// The product of two intervals, rounded: its ends are among the four corners.
pub fn product((float, arithmetic): On, a: Interval, b: Interval) -> Interval {
    let (a, b) = (arithmetic.kept(a), arithmetic.kept(b));
    let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
    let all = corners
        .into_iter()
        .map(|v| (float.round(v), float.round(v)))
        .reduce(hull)
        .unwrap_or((f64::NAN, f64::NAN));
    arithmetic.kept(all)
}

/// The smallest interval with both; NaN where either is (so that NaN is never lost).
fn hull(a: Interval, b: Interval) -> Interval {
    if [a.0, a.1, b.0, b.1].iter().any(|v| v.is_nan()) {
        return (f64::NAN, f64::NAN);
    }
    // In the order that puts -0 before +0.
    let less = |a: f64, b: f64| if a.total_cmp(&b).is_lt() { a } else { b };
    let more = |a: f64, b: f64| if a.total_cmp(&b).is_gt() { a } else { b };
    (less(a.0, b.0), more(a.1, b.1))
}

#[cfg(test)]
mod tests {
    use super::super::float::pow2;
    use super::*;

    const F32: On = (Float::F32, Arithmetic::CPU);
    const F16: On = (Float::F16, Arithmetic::CPU);
    const BF16: On = (Float::Bf16, Arithmetic::CPU);

    fn point(v: f64) -> Dot {
        Dot {
            exact: v,
            low: v,
            high: v,
        }
    }

    #[test]
    fn silu_of_known_values_is_the_chain_worked_by_hand() {
        // g = 1 in bfloat16: e = 2.71875, d = 3.71875, y = 0.26953125 (0.26890756 rounded),
        // s = r(1 - y) = 0.73046875, a = 0.73046875, times u = 2: 1.4609375.
        let (low, high) = gated(BF16, Activation::Silu, point(1.0), point(2.0));
        assert_eq!((low, high), (1.4609375, 1.4609375));
        // g = -1: s = y = 0.26953125, a·u = -0.5390625.
        let (low, high) = gated(BF16, Activation::Silu, point(-1.0), point(2.0));
        assert_eq!((low, high), (-0.5390625, -0.5390625));
        // g = 0: y = 0.5, a = 0.
        let zero = gated(F16, Activation::Silu, point(0.0), point(3.0));
        assert_eq!(zero, (0.0, 0.0));
    }

    #[test]
    fn the_ends_of_the_range_come_out_as_the_chain_has_them() {
        // exp overflows float16 at 12: d is infinite, y is 0, s is 1 or 0.
        let up = gated(F16, Activation::Silu, point(12.0), point(1.0));
        assert_eq!(up, (12.0, 12.0));
        let down = gated(F16, Activation::Silu, point(-12.0), point(1.0));
        assert!(down == (0.0, 0.0) && down.0.is_sign_negative());
        let gelu = gated(F16, Activation::GeluApprox, point(200.0), point(1.0));
        assert_eq!(gelu, (200.0, 200.0));
    }

    #[test]
    fn another_formula_for_the_sigmoid_is_outside() {
        // r(1/(1+exp(-g))) rounded once differs from the chain somewhere in bfloat16.
        let differs = (1..200).any(|i| {
            let g = Float::Bf16.round(f64::from(i) * 0.037);
            let other = Float::Bf16.round(g * Float::Bf16.round(1.0 / (1.0 + (-g).exp())));
            let (low, high) = activate(BF16, Activation::Silu, (g, g));
            other < low || other > high
        });
        assert!(differs);
    }

    #[test]
    fn an_interval_holds_every_value_inside_it() {
        for activation in [Activation::Silu, Activation::GeluApprox] {
            for float in [Float::F32, Float::F16, Float::Bf16] {
                for i in -40..40 {
                    let g = float.round(f64::from(i) * 0.21);
                    let ends = (float.round(g - 0.3), float.round(g + 0.3));
                    let all = across((float, Arithmetic::CPU), activation, ends);
                    let one = activate((float, Arithmetic::CPU), activation, (g, g));
                    assert!(
                        all.0 <= one.0 && one.1 <= all.1,
                        "{activation:?} {float:?} {g}"
                    );
                    let near = activation.exact(g);
                    assert!((one.0 - near).abs() <= 8.0 * float.unit_roundoff() * (1.0 + g.abs()));
                }
            }
        }
    }

    #[test]
    fn dots_far_beyond_the_exponents_range_have_their_limits() {
        let far = gated(F32, Activation::Silu, point(1e6), point(2.0));
        assert_eq!(far, (2e6, 2e6));
        let below = gated(F32, Activation::Silu, point(-1e6), point(2.0));
        assert!(below == (0.0, 0.0) && below.0.is_sign_negative());
        let cube = gated(F32, Activation::GeluApprox, point(1e30), point(1.0));
        assert!(cube.0 < cube.1 && cube.1 == Float::F32.round(1e30));
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let dot = Dot::NOT_FINITE;
        assert_eq!(gated(F16, Activation::Silu, dot, dot), NOT_FINITE);
        assert!(gated(F16, Activation::Silu, Dot::NAN, Dot::NAN).0.is_nan());
    }

    #[test]
    fn nan_is_never_lost() {
        let g = gated(F32, Activation::Silu, Dot::NAN, point(0.0));
        let u = gated(F32, Activation::Silu, point(0.0), Dot::NAN);
        assert!(g.0.is_nan() && u.1.is_nan());
    }

    #[test]
    fn what_a_gpu_takes_for_zero_may_be_so_in_every_step() {
        let gpu = (Float::F32, Arithmetic::GPU);
        let near = |all: Interval, v: f64| all.0 <= v && v <= all.1;
        // The sigmoid of -88 is subnormal, and so is the gate of 2^-127.
        for (g, u) in [
            (-88.0, pow2(100)),
            (pow2(-127), pow2(100)),
            (1.0, pow2(-127)),
        ] {
            for activation in [Activation::Silu, Activation::GeluApprox] {
                let all = gated(gpu, activation, point(g), point(u));
                let truth = activation.exact(g) * u;
                assert!(
                    near(all, 0.0) && near(all, Float::F32.round(truth)),
                    "{g:e}: {all:?}"
                );
                let exact = gated(F32, activation, point(g), point(u));
                assert!(
                    activation == Activation::GeluApprox || !near(exact, 0.0),
                    "{g:e}"
                );
            }
        }
        let usual = gated(gpu, Activation::Silu, point(1.0), point(2.0));
        assert!(usual.0 > 1.46 && usual.1 < 1.463);
    }
}
