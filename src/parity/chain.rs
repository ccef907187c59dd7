//! The elementwise chains after the dots, step by step in the result's type, for intervals:
//! every step rounds, rounding keeps order, so the ends of an interval bound all of it.

use super::bound::FUNCTION_ULPS;
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

/// r(activation(g)·u) for g and u anywhere in their intervals.
pub fn gated(float: Float, activation: Activation, g: Dot, u: Dot) -> Interval {
    // Both dots are of one row: where one is not finite, neither is. The activation of what
    // is not finite isn't either (of −∞ it is −∞·0), nor is its product with u.
    if (g.low, g.high) == NOT_FINITE && (u.low, u.high) == NOT_FINITE {
        return NOT_FINITE;
    }
    let a = activate(float, activation, (g.low, g.high));
    product(float, a, (u.low, u.high))
}

/// The activation of every value of `float` in the interval: one by one where they are few
/// (16-bit types, exact dots), by the ends of each step where they are many.
pub fn activate(float: Float, activation: Activation, (low, high): Interval) -> Interval {
    if low.is_nan() || high.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    if float.order(high) - float.order(low) > 64 {
        return across(float, activation, (low, high));
    }
    let mut g = low;
    // -0 and +0 are the same place, and both count.
    let mut all = hull(
        across(float, activation, (low, low)),
        across(float, activation, (high, high)),
    );
    while g < high {
        g = float.above(g);
        all = hull(all, across(float, activation, (g, g)));
    }
    all
}

fn across(float: Float, activation: Activation, g: Interval) -> Interval {
    let half_g = match activation {
        Activation::Silu => g,
        Activation::GeluApprox => (float.round(0.5 * g.0), float.round(0.5 * g.1)),
    };
    let factor = match activation {
        Activation::Silu => (sigmoid(float, g.0).0, sigmoid(float, g.1).1),
        Activation::GeluApprox => (gelu_factor(float, g.0).0, gelu_factor(float, g.1).1),
    };
    product(float, half_g, factor)
}

/// MLX's sigmoid of one value: what it may be, given what exp may err. Increasing in g.
fn sigmoid(float: Float, g: f64) -> Interval {
    let (e_low, e_high) = function(float, g.abs().exp());
    let y = |e: f64| float.round(1.0 / float.round(1.0 + e));
    if g < 0.0 {
        (y(e_high), y(e_low))
    } else {
        (float.round(1.0 - y(e_low)), float.round(1.0 - y(e_high)))
    }
}

/// 1 + tanh(c·(g + d·g³)), step by step. Increasing in g.
fn gelu_factor(float: Float, g: f64) -> Interval {
    let (scale, cube) = (float.round(GELU_SCALE), float.round(GELU_CUBE));
    let inner = |power: f64| float.round(scale * float.round(g + float.round(cube * power)));
    let (p_low, p_high) = function(float, g.powi(3));
    // No device's tanh leaves -1 … 1.
    let low = function(float, inner(p_low).tanh()).0.max(-1.0);
    let high = function(float, inner(p_high).tanh()).1.min(1.0);
    (float.round(1.0 + low), float.round(1.0 + high))
}

/// r(f(v)) where the device's float32 f may err by a few ulps; `v` is the true value.
fn function(float: Float, v: f64) -> Interval {
    if v.is_infinite() {
        return (v, v);
    }
    // An ulp is at most 2^-23 of the value; the relative form keeps order across exponents.
    let slack = FUNCTION_ULPS * (2.0 * Float::F32.unit_roundoff() * v.abs() + Float::F32.ulp(0.0));
    (float.round(v - slack), float.round(v + slack))
}

/// The product of two intervals, rounded: its ends are among the four corners.
pub fn product(float: Float, a: Interval, b: Interval) -> Interval {
    let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
    corners
        .into_iter()
        .map(|v| (float.round(v), float.round(v)))
        .reduce(hull)
        .unwrap_or((f64::NAN, f64::NAN))
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
    use super::*;

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
        let (low, high) = gated(Float::Bf16, Activation::Silu, point(1.0), point(2.0));
        assert_eq!((low, high), (1.4609375, 1.4609375));
        // g = -1: s = y = 0.26953125, a·u = -0.5390625.
        let (low, high) = gated(Float::Bf16, Activation::Silu, point(-1.0), point(2.0));
        assert_eq!((low, high), (-0.5390625, -0.5390625));
        // g = 0: y = 0.5, a = 0.
        let zero = gated(Float::F16, Activation::Silu, point(0.0), point(3.0));
        assert_eq!(zero, (0.0, 0.0));
    }

    #[test]
    fn the_ends_of_the_range_come_out_as_the_chain_has_them() {
        // exp overflows float16 at 12: d is infinite, y is 0, s is 1 or 0.
        let up = gated(Float::F16, Activation::Silu, point(12.0), point(1.0));
        assert_eq!(up, (12.0, 12.0));
        let down = gated(Float::F16, Activation::Silu, point(-12.0), point(1.0));
        assert!(down == (0.0, 0.0) && down.0.is_sign_negative());
        let gelu = gated(Float::F16, Activation::GeluApprox, point(200.0), point(1.0));
        assert_eq!(gelu, (200.0, 200.0));
    }

    #[test]
    fn another_formula_for_the_sigmoid_is_outside() {
        // r(1/(1+exp(-g))) rounded once differs from the chain somewhere in bfloat16.
        let differs = (1..200).any(|i| {
            let g = Float::Bf16.round(f64::from(i) * 0.037);
            let other = Float::Bf16.round(g * Float::Bf16.round(1.0 / (1.0 + (-g).exp())));
            let (low, high) = activate(Float::Bf16, Activation::Silu, (g, g));
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
                    let all = across(float, activation, ends);
                    let one = activate(float, activation, (g, g));
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
        let far = gated(Float::F32, Activation::Silu, point(1e6), point(2.0));
        assert_eq!(far, (2e6, 2e6));
        let below = gated(Float::F32, Activation::Silu, point(-1e6), point(2.0));
        assert!(below == (0.0, 0.0) && below.0.is_sign_negative());
        let cube = gated(Float::F32, Activation::GeluApprox, point(1e30), point(1.0));
        assert!(cube.0 < cube.1 && cube.1 == Float::F32.round(1e30));
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let dot = Dot::NOT_FINITE;
        assert_eq!(gated(Float::F16, Activation::Silu, dot, dot), NOT_FINITE);
        assert!(
            gated(Float::F16, Activation::Silu, Dot::NAN, Dot::NAN)
                .0
                .is_nan()
        );
    }

    #[test]
    fn nan_is_never_lost() {
        let g = gated(Float::F32, Activation::Silu, Dot::NAN, point(0.0));
        let u = gated(Float::F32, Activation::Silu, point(0.0), Dot::NAN);
        assert!(g.0.is_nan() && u.1.is_nan());
    }
}
