//! What buffers are made from and read back as: bytes, and numbers of Metal's types.

use half::{bf16, f16};

/// A number that buffers hold.
pub trait Element: Copy {
    /// Metal's name of its type.
    const METAL: &'static str;
    /// Its size in bytes.
    const SIZE: usize;
    /// Appends its bytes.
    fn put(self, bytes: &mut Vec<u8>);
    /// Reads it from its bytes.
    fn take(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($ty:ty = $name:literal),* $(,)?) => {$(
        impl Element for $ty {
            const METAL: &'static str = $name;
            const SIZE: usize = size_of::<$ty>();
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
            fn take(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$ty>()];
                own.copy_from_slice(bytes);
                <$ty>::from_le_bytes(own)
            }
        }
    )*};
}

elements!(
    f32 = "float",
    f16 = "half",
    bf16 = "bfloat",
    u8 = "uchar",
    i8 = "char",
    u16 = "ushort",
    i16 = "short",
    u32 = "uint",
    i32 = "int",
    u64 = "ulong",
    i64 = "long",
);

impl Element for bool {
    const METAL: &'static str = "bool";
    const SIZE: usize = 1;
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
    fn take(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}

/// Bytes, and what they are where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Metal's name of their type; the kernel's parameter must have one of the same kind.
    pub ty: Option<&'static str>,
}

impl<T: Element> From<&[T]> for Data {
    fn from(values: &[T]) -> Self {
        let mut bytes = Vec::with_capacity(values.len() * T::SIZE);
        values.iter().for_each(|value| value.put(&mut bytes));
        Data {
            bytes,
            ty: Some(T::METAL),
        }
    }
}

impl<T: Element> From<&Vec<T>> for Data {
    fn from(values: &Vec<T>) -> Self {
        values.as_slice().into()
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Data {
    fn from(values: [T; N]) -> Self {
        values.as_slice().into()
    }
}

impl Data {
    /// One value.
    pub fn value<T: Element>(value: T) -> Self {
        [value].into()
    }

    /// Bytes of which nothing is known.
    pub fn untyped(bytes: Vec<u8>) -> Self {
        Data { bytes, ty: None }
    }
}

/// The values of a buffer's bytes; a rest that is no whole value is left out.
pub fn values<T: Element>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(T::SIZE).map(T::take).collect()
}

/// Metal's name of the scalar type that clang's text of a parameter's type names, where it is
/// one: `const unsigned int *` is `uint`.
pub fn scalar(clang: &str) -> Option<&'static str> {
    let plain: Vec<&str> = clang
        .split(|c: char| c.is_whitespace() || matches!(c, '*' | '&'))
        .filter(|word| !matches!(*word, "" | "const" | "volatile"))
        .collect();
    let name = plain.join(" ");
    let name = name
        .trim_start_matches("metal::")
        .trim_start_matches("emu::");
    Some(match name {
        "float" => "float",
        "half" | "float16_t" => "half",
        "bfloat" | "bfloat16_t" => "bfloat",
        "unsigned char" | "uchar" | "uint8_t" => "uchar",
        "char" | "signed char" | "int8_t" => "char",
        "unsigned short" | "ushort" | "uint16_t" => "ushort",
        "short" | "int16_t" => "short",
        "unsigned int" | "uint" | "uint32_t" => "uint",
        "int" | "int32_t" => "int",
        "unsigned long" | "unsigned long long" | "ulong" | "uint64_t" | "size_t" => "ulong",
        "long" | "long long" | "int64_t" => "long",
        "bool" => "bool",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_bytes() {
        let data = Data::from([f16::from_f32(1.5), f16::from_f32(-2.0)]);
        assert_eq!(data.bytes, [0x00, 0x3e, 0x00, 0xc0]);
        assert_eq!(values::<f16>(&data.bytes)[1].to_f32(), -2.0);
        assert_eq!(Data::value(7i64).bytes.len(), 8);
        assert_eq!(Data::value(true).ty, Some("bool"));
    }

    #[test]
    fn types_are_known_by_what_clang_calls_them() {
        for (clang, metal) in [
            ("const unsigned int *", Some("uint")),
            ("const metal::bfloat *", Some("bfloat")),
            ("long &", Some("long")),
            ("const volatile float *", Some("float")),
            ("const mlx::steel::GEMMParams *", None),
            ("metal::vec<float, 4> *", None),
        ] {
            assert_eq!(scalar(clang), metal, "{clang}");
        }
    }
}
