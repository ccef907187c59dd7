//! Metal source in a library: MLX carries the source of some kernels (of most, where it is built
//! so) as text and compiles them at run time. Such a kernel is in no Metal library.

use super::names::printable;
use super::room::Room;

/// Before the name of a function that is a kernel.
const KERNEL: &[u8] = b"kernel";
/// A longer one is no name that a person wrote.
const LONGEST: usize = 256;

/// The functions that Metal sources in these bytes declare as kernels, sorted, each once:
/// `[[kernel]] void NAME(`, `kernel void NAME(`. A template's instantiations have names of
/// their own, which begin with this one by MLX's habit.
pub fn kernels(bytes: &[u8], room: &Room) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for at in positions(bytes) {
        if let Some(name) = declared(&bytes[at + KERNEL.len()..]) {
            room.take(name.len() + 64)?;
            names.push(printable(name));
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Where [`KERNEL`] is.
fn positions(bytes: &[u8]) -> impl Iterator<Item = usize> {
    // Most bytes of a library are no letter: one that the word has is looked for first.
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(from..)?;
            let at = from + rest.iter().position(|byte| *byte == KERNEL[0])?;
            from = at + 1;
            if bytes[at..].starts_with(KERNEL) {
                return Some(at);
            }
        }
    })
}

/// The name in `]] void NAME(`, the text after [`KERNEL`]. Other attributes may stand between.
fn declared(text: &[u8]) -> Option<&[u8]> {
    let few = &text[..text.len().min(LONGEST)];
    let text = match text.first() {
        Some(b']' | b',') => &text[few.windows(2).position(|two| two == b"]]")? + 2..],
        _ => text,
    };
    let text = after_space(text)?.strip_prefix(b"void")?;
    let text = after_space(text)?;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = text.iter().take(LONGEST).take_while(|b| word(b)).count();
    let (name, rest) = text.split_at(length);
    let named = name.first().is_some_and(|byte| !byte.is_ascii_digit());
    (named && rest.first() == Some(&b'(')).then_some(name)
}

/// What follows at least one space or newline.
fn after_space(text: &[u8]) -> Option<&[u8]> {
    let few = &text[..text.len().min(LONGEST)];
    let spaces = few.iter().take_while(|b| b.is_ascii_whitespace()).count();
    (spaces > 0).then(|| &text[spaces..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_as_metal_declares_them() {
        let library = b"\x7fELF\0kernel\0
            template <typename T>
            [[kernel]] void copy_row(device T* out [[buffer(0)]]) {}
            kernel  void
              other_one(uint i [[thread_position_in_grid]]) {}
            [[kernel, max_total_threads_per_threadgroup(BM * 32)]] void tiled(int x) {}
            [[kernel]] void gather{0}_{1}(device T* x) {}
            // a kernel void of meaning
            void no_kernel(int x); kernel void"
            .as_slice();
        let found = kernels(library, &Room::default()).unwrap();
        assert_eq!(found, ["copy_row", "other_one", "tiled"]);
        for length in 0..library.len() {
            assert!(kernels(&library[..length], &Room::default()).is_ok());
        }
    }

    #[test]
    fn sources_without_end_are_refused() {
        let many = b"kernel void k(".repeat(100);
        assert!(kernels(&many, &Room::of(1000)).is_err());
    }
}
