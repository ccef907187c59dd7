//! Metal libraries (`.metallib`): the kernels that a build has, and what each is given. Read from
//! the bytes alone, on any system; they may be damaged or hostile.
//!
//! The header names four parts by offset and size: the list of functions, public and private
//! metadata, and the functions' LLVM bitcode. An entry of the list is a row of tags.

mod air;
mod bitstream;

use std::collections::BTreeMap;
use std::ops::Range;

use super::names::printable;
use super::room::Room;
pub use air::Argument;

type Result<T> = std::result::Result<T, String>;

const MAGIC: &[u8] = b"MTLB";
/// What a kernel takes beside the characters of its name.
const A_KERNEL: usize = 128;
/// In a function's TYPE.
const KERNEL: u8 = 2;

/// A library of functions.
#[derive(Debug)]
pub struct Library<'a> {
    bytes: &'a [u8],
    kernels: BTreeMap<String, Range<usize>>,
    /// Vertex, fragment and other functions.
    pub others: usize,
}

/// True for bytes that begin as such a library does.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

impl<'a> Library<'a> {
    /// Reads the list of functions.
    pub fn parse(bytes: &'a [u8], room: &Room) -> Result<Self> {
        if !is_one(bytes) {
            return Err("it is no Metal library".into());
        }
        let header = Reader { bytes };
        let size = header.long(0x10)?;
        if size != bytes.len() as u64 {
            return Err(format!(
                "it says that it has {size} bytes and has {}",
                bytes.len()
            ));
        }
        // The count of functions stands before the list and is not in its size.
        let list = header.part(0x18, 4)?;
        let bitcode = header.part(0x48, 0)?;
        let mut library = Library {
            bytes,
            kernels: BTreeMap::new(),
            others: 0,
        };
        let list = Reader {
            bytes: &bytes[list],
        };
        let count = list.word(0)?;
        let mut at = 4;
        for _ in 0..count {
            let size = list.word(at)? as usize;
            let entry = at
                .checked_add(size)
                .and_then(|end| list.bytes.get(at + 4..end));
            let entry = entry.ok_or("an entry of its list goes beyond the list")?;
            library.function(&Reader { bytes: entry }, &bitcode, room)?;
            at += size;
        }
        // Each kernel is a module of its own; were bytes shared, few could be read as many times
        // as there are kernels.
        let mut ranges: Vec<&Range<usize>> = library.kernels.values().collect();
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        if ranges.windows(2).any(|two| two[1].start < two[0].end) {
            return Err("two kernels share bitcode".into());
        }
        Ok(library)
    }

    /// The kernels' names, in order.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.kernels.keys().map(String::as_str)
    }

    /// How many kernels it has.
    pub fn len(&self) -> usize {
        self.kernels.len()
    }

    /// True where it has no kernel.
    pub fn is_empty(&self) -> bool {
        self.kernels.is_empty()
    }

    /// What a kernel is given; `None` where the library has no such kernel.
    pub fn arguments(&self, kernel: &str) -> Option<Result<Vec<Argument>>> {
        let bitcode = self.kernels.get(kernel)?;
        let found = air::arguments(&self.bytes[bitcode.clone()]);
        Some(found.and_then(|found| found.ok_or_else(|| "its bitcode describes no kernel".into())))
    }

    fn function(&mut self, entry: &Reader, all: &Range<usize>, room: &Room) -> Result<()> {
        let (mut name, mut kind, mut offset, mut size) = (None, 0, 0, 0);
        let mut at = 0;
        loop {
            let tag = entry.take(at, 4)?;
            if tag == b"ENDT" {
                break;
            }
            let length = usize::from(u16::from_le_bytes([
                entry.byte(at + 4)?,
                entry.byte(at + 5)?,
            ]));
            let data = Reader {
                bytes: entry.take(at + 6, length)?,
            };
            match tag {
                b"NAME" => {
                    let text = data.bytes.split(|byte| *byte == 0).next();
                    name = text.map(printable);
                }
                b"TYPE" => kind = data.byte(0)?,
                // Into the public metadata, the private ones, and the bitcode.
                b"OFFT" => offset = data.long(16)?,
                b"MDSZ" => size = data.long(0)?,
                _ => {}
            }
            at += 6 + length;
        }
        if kind != KERNEL {
            self.others += 1;
            return Ok(());
        }
        let name = name.ok_or("a kernel has no name")?;
        let first = usize::try_from(offset)
            .ok()
            .and_then(|n| all.start.checked_add(n));
        let range = first.and_then(|first| {
            let end = first.checked_add(usize::try_from(size).ok()?)?;
            (end <= all.end).then_some(first..end)
        });
        let range = range.ok_or_else(|| format!("the bitcode of {name} is beyond the file"))?;
        room.take(name.len() + A_KERNEL)?;
        match self.kernels.insert(name.clone(), range) {
            Some(_) => Err(format!("it has two kernels {name}")),
            None => Ok(()),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&self, at: usize, length: usize) -> Result<&'a [u8]> {
        let end = at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(at..end));
        taken.ok_or_else(|| "it ends too early".into())
    }

    fn byte(&self, at: usize) -> Result<u8> {
        Ok(self.take(at, 1)?[0])
    }

    fn word(&self, at: usize) -> Result<u32> {
        let bytes = self.take(at, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn long(&self, at: usize) -> Result<u64> {
        let (low, high) = (self.word(at)?, self.word(at + 4)?);
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    /// The part whose offset and size stand at `at`, and `more` bytes.
    fn part(&self, at: usize, more: u64) -> Result<Range<usize>> {
        let (offset, size) = (self.long(at)?, self.long(at + 8)?);
        let end = offset
            .checked_add(size)
            .and_then(|end| end.checked_add(more));
        let range = end.and_then(|end| {
            let range = usize::try_from(offset).ok()?..usize::try_from(end).ok()?;
            (range.end <= self.bytes.len()).then_some(range)
        });
        range.ok_or_else(|| "a part of it is beyond its end".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::crafted::{self, Function};

    fn bitcode() -> Vec<u8> {
        crafted::bitcode("y")
    }

    fn library() -> Vec<u8> {
        crafted::metallib(&[("scale", &bitcode())])
    }

    #[test]
    fn a_kernel_and_its_arguments_are_read() {
        let bytes = library();
        let library = Library::parse(&bytes, &Room::default()).unwrap();
        assert_eq!(library.kernels().collect::<Vec<_>>(), ["scale"]);
        let arguments = library.arguments("scale").unwrap().unwrap();
        let lines: Vec<String> = arguments.iter().map(Argument::line).collect();
        assert_eq!(
            lines,
            ["buffer 6: read_write float y", "thread_position_in_grid"]
        );
        assert_eq!(arguments[0].address_space, Some(1));
        assert!(library.arguments("other").is_none());
    }

    #[test]
    fn kernels_that_share_bitcode_or_a_name_are_refused() {
        let code = bitcode();
        let size = code.len() as u64;
        let with = |name: &'static str, at: u64, size: u64| Function {
            name,
            kind: KERNEL,
            bitcode: (at, size),
        };
        let said = |functions: &[Function], code: &[u8]| {
            let bytes = crafted::metallib_of(functions, code);
            Library::parse(&bytes, &Room::default()).map(|library| library.len())
        };
        let twice = code.repeat(2);
        assert_eq!(
            said(&[with("a", 0, size), with("b", size, size)], &twice),
            Ok(2)
        );
        let shared = [with("a", 0, size), with("b", size - 1, size)];
        assert!(said(&shared, &twice).unwrap_err().contains("share"));
        let same = [with("a", 0, size), with("a", size, size)];
        assert!(said(&same, &twice).unwrap_err().contains("two kernels a"));
        for beyond in [
            with("a", 1, size),
            with("a", u64::MAX, 2),
            with("a", 2, u64::MAX),
        ] {
            let error = said(&[beyond], &code).unwrap_err();
            assert!(error.contains("beyond the file"), "{error}");
        }
    }

    #[test]
    fn a_library_cut_off_anywhere_is_an_error() {
        let whole = library();
        for length in 0..whole.len() {
            assert!(
                Library::parse(&whole[..length], &Room::default()).is_err(),
                "{length}"
            );
        }
        let code = bitcode();
        for length in 0..code.len() {
            // Never a panic, nor arguments that the whole does not have.
            if let Ok(Some(arguments)) = air::arguments(&code[..length]) {
                assert!(arguments.len() <= 2, "{length}");
            }
        }
    }

    #[test]
    fn a_library_with_changed_bytes_is_never_a_panic() {
        let whole = library();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..50_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + next() % 6 {
                let at = next() % bytes.len();
                bytes[at] = u8::try_from(next() & 0xff).unwrap();
            }
            if let Ok(library) = Library::parse(&bytes, &Room::default()) {
                for kernel in library.kernels() {
                    let _ = library.arguments(kernel);
                }
            }
        }
    }
}
