//! What a device and a path may do beside the roundings that are promised everywhere: take
//! subnormal numbers for 0, round weights, err in exp. What follows for a dot stands in `bound`,
//! for the rest in `chain` and `combine`; why, in docs/parity.md.

use super::chain::Interval;
use super::float::pow2;
use crate::device::Device;

/// The smallest normal float32 number. What a device takes for 0 is smaller.
pub const SMALLEST_NORMAL: f64 = pow2(-126);

/// What the arithmetic of a computation may be like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arithmetic {
    /// Subnormal float32 numbers, read or made, may be 0.
    pub flushes: bool,
    /// Dots may be those of stock's tiles, which round the dequantized weights to the type in
    /// which the op computes, and where that is float32 may round both factors to TF32.
    pub tiles: bool,
    /// Ulps (of float32) by which exp may differ from the true value.
    pub exp: f64,
    /// The same of a power.
    pub pow: f64,
    /// The same of tanh.
    pub tanh: f64,
}

impl Arithmetic {
    /// Processors: glibc's functions and the vector versions in use stay within 2 ulps.
    pub const CPU: Arithmetic = Arithmetic {
        flushes: false,
        tiles: false,
        exp: 2.0,
        pow: 2.0,
        tanh: 2.0,
    };

    /// GPUs, as the Metal Shading Language Specification has it for functions that are not of
    /// the fast kind.
    pub const GPU: Arithmetic = Arithmetic {
        flushes: true,
        tiles: false,
        exp: 4.0,
        pow: 16.0,
        tanh: 5.0,
    };

    /// That of the fork on a device, by the path that it took there.
    pub fn of(device: Device, path: Option<&str>) -> Self {
        match device {
            // A composition there has its operands in float32.
            Device::Cpu => Arithmetic::CPU,
            Device::Gpu => Arithmetic {
                tiles: path == Some("composition"),
                ..Arithmetic::GPU
            },
        }
    }

    /// What may be read where a value of the interval was made: subnormal ones may be 0, of
    /// either sign.
    pub fn kept(self, (low, high): Interval) -> Interval {
        if !self.flushes {
            return (low, high);
        }
        let small = |v: f64| v != 0.0 && v.abs() < SMALLEST_NORMAL;
        (
            if low > 0.0 && small(low) { -0.0 } else { low },
            if high < 0.0 && small(high) { 0.0 } else { high },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_subnormal_values_may_be_zero_and_only_on_gpus() {
        let (small, large) = (pow2(-127), SMALLEST_NORMAL);
        assert_eq!(Arithmetic::GPU.kept((small, small)), (0.0, small));
        assert_eq!(Arithmetic::GPU.kept((-large, -small)), (-large, 0.0));
        assert_eq!(Arithmetic::GPU.kept((large, 1.0)), (large, 1.0));
        assert_eq!(Arithmetic::CPU.kept((small, small)), (small, small));
        assert!(Arithmetic::GPU.kept((f64::NAN, f64::NAN)).0.is_nan());
    }

    #[test]
    fn only_compositions_on_gpus_have_tiles() {
        for (device, path, tiles) in [
            (Device::Gpu, Some("composition"), true),
            (Device::Gpu, Some("fast"), false),
            (Device::Cpu, Some("composition"), false),
        ] {
            assert_eq!(Arithmetic::of(device, path).tiles, tiles);
        }
    }
}
