//! What a command line says of a launch: `0=w:u32:random:1:4096`, `3=i32:2048`, `20=bool:true`.

use std::path::Path;

use half::{bf16, f16};

use crate::error::{Doing, Error, Result, reading};

use super::compile::{Habit, Numerics};
use super::data::{Data, Element};
use super::launch::{MOST_BYTES, Reduction, Schedule, Settings};

/// What a buffer holds before the launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filling {
    /// These bytes.
    Data(Data),
    /// So many bytes that nobody has written.
    Empty(u64),
}

/// A buffer: `INDEX=NAME:TYPE:CONTENTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Its index.
    pub index: u32,
    /// Its name, for reports.
    pub name: String,
    /// What it holds.
    pub filling: Filling,
}

/// The types that a command line can name.
pub const TYPES: &str = "f32, f16, bf16, u8, i8, u16, i16, u32, i32, u64, i64, bool";

/// Reads `0=w:u32:FILE`, `…:zeros:N`, `…:empty:N`, `…:iota:N`, `…:random:SEED:N`, `…:list:1,2,3`.
///
/// # Errors
/// [`crate::Kind::Usage`] for anything else, and a file that can't be read.
pub fn buffer(text: &str) -> Result<Buffer> {
    let read = || -> Result<Buffer> {
        let (index, rest) = index(text)?;
        let mut parts = rest.splitn(3, ':');
        let (Some(name), Some(ty), Some(contents)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::usage("it is no INDEX=NAME:TYPE:CONTENTS"));
        };
        Ok(Buffer {
            index,
            name: name.into(),
            filling: filling(ty, contents)?,
        })
    };
    read().doing(|| format!("reading the buffer '{text}'"))
}

/// Reads `3=i32:2048` and `3=i32:1,2,3`.
///
/// # Errors
/// [`crate::Kind::Usage`] for anything else.
pub fn bytes(text: &str) -> Result<(u32, Data)> {
    let read = || -> Result<(u32, Data)> {
        let (index, rest) = index(text)?;
        Ok((index, typed(rest)?))
    };
    read().doing(|| format!("reading the bytes '{text}'"))
}

/// Reads `20=bool:true` and `has_w=bool:true`.
///
/// # Errors
/// As [`bytes`].
pub fn constant(text: &str) -> Result<(String, Data)> {
    let read = || -> Result<(String, Data)> {
        let (name, rest) = text
            .split_once('=')
            .ok_or_else(|| Error::usage("it is no INDEX=TYPE:VALUE"))?;
        Ok((name.into(), typed(rest)?))
    };
    read().doing(|| format!("reading the function constant '{text}'"))
}

/// Reads `X`, `X,Y` and `X,Y,Z`.
///
/// # Errors
/// [`crate::Kind::Usage`] for anything else.
pub fn size(text: &str) -> Result<[u32; 3]> {
    let parts: Option<Vec<u32>> = text
        .split(',')
        .map(|part| part.trim().parse().ok().filter(|n| *n > 0))
        .collect();
    match parts.as_deref() {
        Some([x]) => Ok([*x, 1, 1]),
        Some([x, y]) => Ok([*x, *y, 1]),
        Some([x, y, z]) => Ok([*x, *y, *z]),
        _ => Err(Error::usage(format!(
            "'{text}' is no size: one to three positive numbers with commas between them"
        ))),
    }
}

/// Reads `0=1024`.
///
/// # Errors
/// [`crate::Kind::Usage`] for anything else.
pub fn threadgroup(text: &str) -> Result<(u32, u64)> {
    let read = || -> Result<(u32, u64)> {
        let (index, rest) = index(text)?;
        Ok((index, count(rest)?))
    };
    read().doing(|| format!("reading the threadgroup memory '{text}'"))
}

/// Settings as they are shown: `seed=7 schedule=random reduction=forward flush contract excess`.
pub fn show(settings: Settings, numerics: Numerics) -> String {
    let schedule = match settings.schedule {
        Schedule::Random => "random",
        Schedule::Forward => "forward",
        Schedule::Reverse => "reverse",
    };
    let reduction = match settings.reduction {
        Reduction::ButterflyDown => "butterfly-down",
        Reduction::ButterflyUp => "butterfly-up",
        Reduction::Forward => "forward",
        Reduction::Backward => "backward",
    };
    let mut text = format!(
        "seed={} schedule={schedule} reduction={reduction}",
        settings.seed
    );
    for (set, word) in [
        (settings.flush, " flush"),
        (numerics.contract, " contract"),
        (numerics.habit == Habit::Excess, " excess"),
    ] {
        text.push_str(if set { word } else { "" });
    }
    text
}

/// Reads what [`show`] shows; what is not named is as a run has it by default, but `contract`.
///
/// # Errors
/// [`crate::Kind::Usage`] for a word that is none of them.
pub fn settings(text: &str) -> Result<(Settings, Numerics)> {
    let mut settings = Settings::default();
    let mut numerics = Numerics {
        contract: false,
        habit: Habit::Each,
    };
    for word in text.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("seed", seed) => settings.seed = count(seed)?,
            ("schedule", "random") => settings.schedule = Schedule::Random,
            ("schedule", "forward") => settings.schedule = Schedule::Forward,
            ("schedule", "reverse") => settings.schedule = Schedule::Reverse,
            ("reduction", "butterfly-down") => settings.reduction = Reduction::ButterflyDown,
            ("reduction", "butterfly-up") => settings.reduction = Reduction::ButterflyUp,
            ("reduction", "forward") => settings.reduction = Reduction::Forward,
            ("reduction", "backward") => settings.reduction = Reduction::Backward,
            ("flush", "") => settings.flush = true,
            ("contract", "") => numerics.contract = true,
            ("excess", "") => numerics.habit = Habit::Excess,
            _ => {
                return Err(
                    Error::usage(format!("'{word}' is no setting")).hint(format!(
                        "a check prints them: '{}'",
                        show(Settings::default(), Numerics::default())
                    )),
                );
            }
        }
    }
    Ok((settings, numerics))
}

/// The values of bytes as text, a few of many.
///
/// # Errors
/// [`crate::Kind::Usage`] for a type that there is not.
pub fn shown(ty: &str, bytes: &[u8], most: usize) -> Result<String> {
    fn list<T: Element + std::fmt::Display>(bytes: &[u8], most: usize) -> String {
        let all = super::data::values::<T>(bytes);
        let some: Vec<String> = all.iter().take(most).map(ToString::to_string).collect();
        let rest = all.len().saturating_sub(most);
        match rest {
            0 => some.join(" "),
            rest => format!("{} … and {rest} more", some.join(" ")),
        }
    }
    Ok(match ty {
        "f32" | "float" => list::<f32>(bytes, most),
        "f16" | "half" => list::<f16>(bytes, most),
        "bf16" | "bfloat" => list::<bf16>(bytes, most),
        "u8" | "uchar" => list::<u8>(bytes, most),
        "i8" | "char" => list::<i8>(bytes, most),
        "u16" | "ushort" => list::<u16>(bytes, most),
        "i16" | "short" => list::<i16>(bytes, most),
        "u32" | "uint" => list::<u32>(bytes, most),
        "i32" | "int" => list::<i32>(bytes, most),
        "u64" | "ulong" => list::<u64>(bytes, most),
        "i64" | "long" => list::<i64>(bytes, most),
        "bool" => list::<bool>(bytes, most),
        _ => return Err(no_type(ty)),
    })
}

fn index(text: &str) -> Result<(u32, &str)> {
    text.split_once('=')
        .and_then(|(index, rest)| Some((index.parse().ok()?, rest)))
        .ok_or_else(|| Error::usage("it begins with no INDEX="))
}

fn count(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Error::usage(format!("'{text}' is no number")))
}

fn typed(text: &str) -> Result<Data> {
    let (ty, list) = text
        .split_once(':')
        .ok_or_else(|| Error::usage("it is no TYPE:VALUE"))?;
    of_type(ty, &Source::List(list.split(',').collect()))
}

fn filling(ty: &str, contents: &str) -> Result<Filling> {
    let parts: Vec<&str> = contents.split(':').collect();
    let source = match parts[..] {
        ["zeros", n] => Source::Zeros(count(n)?),
        ["iota", n] => Source::Iota(count(n)?),
        ["random", seed, n] => Source::Random(count(seed)?, count(n)?),
        ["list", list] => Source::List(list.split(',').collect()),
        ["empty", n] => return Ok(Filling::Empty(in_bytes(ty, count(n)?)?)),
        _ => {
            let path = Path::new(contents);
            let mut data = of_type(ty, &Source::Zeros(0))?;
            data.bytes = std::fs::read(path).doing(reading(path))?;
            return Ok(Filling::Data(data));
        }
    };
    if let Source::Zeros(n) | Source::Iota(n) | Source::Random(_, n) = source {
        in_bytes(ty, n)?;
    }
    Ok(Filling::Data(of_type(ty, &source)?))
}

/// The bytes of so many numbers.
fn in_bytes(ty: &str, count: u64) -> Result<u64> {
    let one = of_type(ty, &Source::Zeros(1))?.bytes.len() as u64;
    let bytes = one.checked_mul(count).filter(|bytes| *bytes <= MOST_BYTES);
    bytes.ok_or_else(|| {
        Error::usage(format!(
            "{count} numbers of type {ty} are too many: a buffer has at most {MOST_BYTES} bytes"
        ))
    })
}

enum Source<'a> {
    Zeros(u64),
    Iota(u64),
    Random(u64, u64),
    List(Vec<&'a str>),
}

/// A number that a command line can make.
trait Number: Element + std::str::FromStr {
    /// From a count.
    fn whole(n: u64) -> Self;
    /// From 64 random bits: between -1 and 1 for floats, any value for integers.
    fn random(bits: u64) -> Self;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        #[expect(clippy::allow_attributes, reason = "not every type loses bits")]
        impl Number for $ty {
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "wraps")]
            fn whole(n: u64) -> Self {
                n as $ty
            }
            fn random(bits: u64) -> Self {
                Self::whole(bits)
            }
        }
    )*};
}

macro_rules! floats {
    ($($ty:ty: $from:expr),*) => {$(
        impl Number for $ty {
            #[expect(clippy::cast_precision_loss, reason = "a float of a count")]
            fn whole(n: u64) -> Self {
                $from(n as f32)
            }
            #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
            fn random(bits: u64) -> Self {
                $from((bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
            }
        }
    )*};
}

integers!(u8, i8, u16, i16, u32, i32, u64, i64);
floats!(f32: |v| v, f16: f16::from_f32, bf16: bf16::from_f32);

impl Number for bool {
    fn whole(n: u64) -> Self {
        n != 0
    }
    fn random(bits: u64) -> Self {
        bits & 1 == 1
    }
}

fn of_type(ty: &str, source: &Source<'_>) -> Result<Data> {
    match ty {
        "f32" => numbers::<f32>(source),
        "f16" => numbers::<f16>(source),
        "bf16" => numbers::<bf16>(source),
        "u8" => numbers::<u8>(source),
        "i8" => numbers::<i8>(source),
        "u16" => numbers::<u16>(source),
        "i16" => numbers::<i16>(source),
        "u32" => numbers::<u32>(source),
        "i32" => numbers::<i32>(source),
        "u64" => numbers::<u64>(source),
        "i64" => numbers::<i64>(source),
        "bool" => numbers::<bool>(source),
        _ => Err(no_type(ty)),
    }
}

fn no_type(ty: &str) -> Error {
    Error::usage(format!("'{ty}' is no type; there are {TYPES}"))
}

fn numbers<T: Number>(source: &Source<'_>) -> Result<Data> {
    let values: Vec<T> = match source {
        Source::Zeros(n) => (0..*n).map(|_| T::whole(0)).collect(),
        Source::Iota(n) => (0..*n).map(T::whole).collect(),
        Source::Random(seed, n) => (0..*n).map(|i| T::random(mixed(*seed, i))).collect(),
        Source::List(list) => list
            .iter()
            .map(|word| {
                word.trim().parse().map_err(|_| {
                    Error::usage(format!("'{word}' is no number of type {}", T::METAL))
                })
            })
            .collect::<Result<_>>()?,
    };
    Ok(Data::from(&values))
}

/// 64 bits that depend on both (SplitMix64).
fn mixed(seed: u64, i: u64) -> u64 {
    let golden = 0x9e37_79b9_7f4a_7c15u64;
    let mut z = seed
        .wrapping_mul(golden)
        .wrapping_add(i.wrapping_add(1).wrapping_mul(golden));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_read_with_their_contents() {
        let iota = buffer("2=x:f32:iota:3").unwrap();
        assert_eq!((iota.index, iota.name.as_str()), (2, "x"));
        assert_eq!(iota.filling, Filling::Data(Data::from([0f32, 1.0, 2.0])));
        let empty = buffer("6=y:bf16:empty:10").unwrap();
        assert_eq!(empty.filling, Filling::Empty(20));
        let listed = buffer("1=i:u8:list:7,255").unwrap();
        assert_eq!(listed.filling, Filling::Data(Data::from([7u8, 255])));
        let Filling::Data(random) = buffer("0=w:f16:random:9:1000").unwrap().filling else {
            panic!("no data");
        };
        let values: Vec<f16> = super::super::data::values(&random.bytes);
        assert!(values.iter().all(|v| v.to_f32().abs() <= 1.0));
        assert!(values.iter().any(|v| v.to_f32() < -0.9));
    }

    #[test]
    fn a_buffer_that_is_wrong_says_how() {
        for (text, why) in [
            ("w:f32:zeros:1", "no INDEX="),
            ("0=w", "no INDEX=NAME:TYPE:CONTENTS"),
            ("0=w:f33:zeros:1", "'f33' is no type"),
            ("0=w:f32:zeros:x", "'x' is no number"),
            ("0=w:u8:list:256", "'256' is no number of type uchar"),
            ("0=w:u8:/no/such/file", "reading /no/such/file"),
            ("0=w:u16:empty:18446744073709551615", "are too many"),
            ("0=w:u8:empty:17179869185", "at most 17179869184 bytes"),
            ("0=w:f32:zeros:1000000000000000000", "are too many"),
            ("0=w:f32:iota:4294967297", "are too many"),
            ("0=w:f32:random:1:18446744073709551615", "are too many"),
        ] {
            let error = buffer(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn bytes_constants_and_sizes_are_read() {
        assert_eq!(bytes("3=i32:2048").unwrap(), (3, Data::value(2048i32)));
        assert_eq!(bytes("3=i64:1,-2").unwrap().1.bytes.len(), 16);
        let (name, data) = constant("has_w=bool:true").unwrap();
        assert_eq!((name.as_str(), data), ("has_w", Data::value(true)));
        assert_eq!(size("8").unwrap(), [8, 1, 1]);
        assert_eq!(size("8,2,3").unwrap(), [8, 2, 3]);
        assert!(size("8,0").is_err() && size("1,2,3,4").is_err());
        assert_eq!(threadgroup("0=1024").unwrap(), (0, 1024));
    }

    #[test]
    fn settings_are_read_as_they_are_shown() {
        let set = Settings {
            seed: 9,
            schedule: Schedule::Reverse,
            reduction: Reduction::Backward,
            flush: true,
            workers: 1,
        };
        for contract in [false, true] {
            for habit in [Habit::Each, Habit::Excess] {
                let numerics = Numerics { contract, habit };
                let shown = show(set, numerics);
                assert_eq!(settings(&shown).unwrap(), (set, numerics), "{shown}");
            }
        }
        assert!(settings("fast").is_err());
    }
}
