//! What a Metal kernel's arguments are: the metadata `air.kernel` of a module of LLVM bitcode.
//!
//! `!air.kernel` lists nodes (function, outputs, arguments); each argument is a node
//! (number, what it is, then words with or without values). Only the blocks that lead there are
//! read: constants for the numbers, metadata for the rest.

use serde::Serialize;

use super::bitstream::{Item, Stream};
use crate::probe::names::printable;
use crate::probe::room::Room;

type Result<T> = std::result::Result<T, String>;

/// What is remembered of one module while it is read; MLX's largest takes 13 KB. Several are
/// read at a time.
const MOST_REMEMBERED: usize = 4 << 20;
/// What a value or a piece of metadata takes beside its characters or fields.
const AN_ITEM: usize = 32;
/// Arguments of a kernel: 31 buffers, 128 textures, 16 samplers, some thirty attributes.
const MOST_ARGUMENTS: usize = 512;
/// What is said of one argument; MLX's have 20 words.
const MOST_WORDS: usize = 256;
/// A type's name, as the source has it, with its templates.
const LONGEST_TEXT: usize = 16 << 10;

const MODULE: u32 = 8;
const CONSTANTS: u32 = 11;
const METADATA: u32 = 15;

/// One argument of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// `buffer`, `texture`, or what else the kernel is given: `thread_position_in_grid`.
    pub role: String,
    /// The index at which the host binds it.
    pub index: Option<u64>,
    /// `read`, `write`, `read_write`; none for what the host does not bind.
    pub access: Option<String>,
    /// 1 is device memory, 2 constant, 3 threadgroup.
    pub address_space: Option<u64>,
    /// The type's name, as in the source.
    pub type_name: Option<String>,
    /// The argument's name, as in the source.
    pub name: Option<String>,
}

impl Argument {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.access, &self.type_name, &self.name];
        let texts = texts.into_iter().flatten().chain([&self.role]);
        size_of::<Self>() + texts.map(|text| text.len() + 16).sum::<usize>()
    }

    /// In a line: `buffer 0: read float x`, `thread_position_in_grid`.
    pub fn line(&self) -> String {
        let mut line = self.role.clone();
        if let Some(index) = self.index {
            line += &format!(" {index}");
        }
        let words = [&self.access, &self.type_name, &self.name];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        if !words.is_empty() {
            line += &format!(": {}", words.join(" "));
        }
        line
    }
}

/// The arguments of the kernel of a module; none where it has no kernel.
pub fn arguments(bitcode: &[u8]) -> Result<Option<Vec<Argument>>> {
    let module = Module::read(unwrapped(bitcode)?)?;
    module.arguments()
}

/// The stream of a module: after Apple's wrapper, where there is one, and the signature.
fn unwrapped(bytes: &[u8]) -> Result<&[u8]> {
    let word = |at: usize| -> Option<u32> {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let stream = match word(0) {
        Some(0x0b17_c0de) => {
            let at = |i| word(i).and_then(|n| usize::try_from(n).ok());
            let part = at(8).zip(at(12)).and_then(|(offset, size)| {
                let end = offset.checked_add(size)?;
                bytes.get(offset..end)
            });
            part.ok_or("the wrapper of its bitcode names bytes that it does not have")?
        }
        _ => bytes,
    };
    match stream.strip_prefix(b"BC\xc0\xde") {
        Some(rest) => Ok(rest),
        None => Err("it is no LLVM bitcode".into()),
    }
}

#[derive(Debug)]
enum Metadata {
    Text(Vec<u8>),
    /// The id of a value.
    Value(u64),
    /// Ids of metadata, plus one; 0 is none.
    Node(Vec<u64>),
    Other,
}

#[derive(Debug)]
struct Module {
    /// Functions and variables, then constants; the number where it is one.
    values: Vec<Option<u64>>,
    metadata: Vec<Metadata>,
    kernels: Vec<u64>,
    room: Room,
}

impl Module {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut stream = Stream::new(bytes);
        let mut module = Module {
            values: Vec::new(),
            metadata: Vec::new(),
            kernels: Vec::new(),
            room: Room::of(MOST_REMEMBERED),
        };
        loop {
            match stream.next()? {
                Item::Enter(MODULE) => module.module(&mut stream)?,
                Item::Enter(_) => stream.skip()?,
                Item::End => return Ok(module),
                Item::Exit | Item::Record { .. } => {}
            }
        }
    }

    fn module(&mut self, stream: &mut Stream) -> Result<()> {
        // Records that define a value: variable, function, two kinds of alias, ifunc.
        const VALUES: [u64; 5] = [7, 8, 9, 14, 15];
        loop {
            match stream.next()? {
                Item::Enter(CONSTANTS) => self.constants(stream)?,
                Item::Enter(METADATA) => self.metadata(stream)?,
                Item::Enter(_) => stream.skip()?,
                Item::Record { code, .. } => {
                    if VALUES.contains(&code) {
                        self.value(None)?;
                    }
                }
                Item::Exit | Item::End => return Ok(()),
            }
        }
    }

    fn value(&mut self, number: Option<u64>) -> Result<()> {
        self.room.take(AN_ITEM)?;
        self.values.push(number);
        Ok(())
    }

    fn add(&mut self, metadata: Metadata) -> Result<()> {
        let more = match &metadata {
            Metadata::Text(text) => text.len(),
            Metadata::Node(ids) => ids.len() * size_of::<u64>(),
            Metadata::Value(_) | Metadata::Other => 0,
        };
        self.room.take(AN_ITEM + more)?;
        self.metadata.push(metadata);
        Ok(())
    }

    fn constants(&mut self, stream: &mut Stream) -> Result<()> {
        const SETTYPE: u64 = 1;
        const NULL: u64 = 2;
        const INTEGER: u64 = 4;
        loop {
            match stream.next()? {
                Item::Enter(_) => stream.skip()?,
                Item::Record { code, .. } => match code {
                    SETTYPE => {}
                    NULL => self.value(Some(0))?,
                    // The lowest bit is the sign.
                    INTEGER => self.value(stream.fields().first().map(|n| n >> 1))?,
                    _ => self.value(None)?,
                },
                Item::Exit | Item::End => return Ok(()),
            }
        }
    }

    fn metadata(&mut self, stream: &mut Stream) -> Result<()> {
        const STRING: u64 = 1;
        const VALUE: u64 = 2;
        const NODE: u64 = 3;
        const NAME: u64 = 4;
        const KIND: u64 = 6;
        const NAMED_NODE: u64 = 10;
        const STRINGS: u64 = 35;
        const WITHOUT_ID: [u64; 4] = [11, 36, 38, 39];
        let mut name = Vec::new();
        loop {
            match stream.next()? {
                Item::Enter(_) => stream.skip()?,
                Item::Exit | Item::End => return Ok(()),
                Item::Record { code, blob } => {
                    let fields = stream.fields();
                    match code {
                        STRINGS => self.strings(fields, blob.unwrap_or_default())?,
                        STRING => self.add(Metadata::Text(characters(fields)))?,
                        VALUE => {
                            let value = fields.get(1).ok_or("a metadata value is missing")?;
                            self.add(Metadata::Value(*value))?;
                        }
                        NODE => self.add(Metadata::Node(fields.to_vec()))?,
                        NAME => name = characters(fields),
                        NAMED_NODE if name == b"air.kernel" => {
                            self.room.take(size_of_val(fields))?;
                            self.kernels.extend_from_slice(fields);
                        }
                        NAMED_NODE | KIND => {}
                        other if WITHOUT_ID.contains(&other) => {}
                        _ => self.add(Metadata::Other)?,
                    }
                }
            }
        }
    }

    /// `count` lengths, in a stream of their own, and the characters from `offset` on.
    fn strings(&mut self, fields: &[u64], blob: &[u8]) -> Result<()> {
        let [count, offset] = fields else {
            return Err("its strings have no count".into());
        };
        let offset = usize::try_from(*offset).unwrap_or(usize::MAX);
        let mut characters = blob.get(offset..).ok_or("its strings begin beyond them")?;
        if usize::try_from(*count).unwrap_or(usize::MAX) > offset.saturating_mul(8) {
            return Err("its strings are more than their lengths".into());
        }
        for length in super::bitstream::numbers(&blob[..offset], 6, *count) {
            let length = usize::try_from(length?).unwrap_or(usize::MAX);
            let (text, rest) = characters
                .split_at_checked(length)
                .ok_or("a string goes beyond the others")?;
            self.add(Metadata::Text(text.to_vec()))?;
            characters = rest;
        }
        Ok(())
    }

    fn arguments(&self) -> Result<Option<Vec<Argument>>> {
        let Some(kernel) = self.kernels.first() else {
            return Ok(None);
        };
        // Ids in a named node are not raised by one.
        let kernel = self.node(kernel.saturating_add(1))?;
        let arguments = self.node(*kernel.get(2).ok_or("a kernel names no arguments")?)?;
        if arguments.len() > MOST_ARGUMENTS {
            return Err(format!("a kernel has {} arguments", arguments.len()));
        }
        arguments
            .iter()
            .map(|id| self.argument(*id))
            .collect::<Result<_>>()
            .map(Some)
    }

    fn argument(&self, id: u64) -> Result<Argument> {
        let words = self.node(id)?;
        if words.len() > MOST_WORDS {
            return Err(format!("an argument is described in {} words", words.len()));
        }
        let role = words.get(1).and_then(|id| self.text(*id));
        let role = role.ok_or("an argument does not say what it is")?;
        let name = |id| self.text(id).map(shown).transpose();
        let mut argument = Argument {
            role: shown(role.strip_prefix(b"air.").unwrap_or(role))?,
            index: None,
            access: None,
            address_space: None,
            type_name: None,
            name: None,
        };
        for (i, id) in words.iter().enumerate().skip(2) {
            let Some(word) = self.text(*id) else { continue };
            let next = words.get(i + 1).copied().unwrap_or(0);
            match word {
                b"air.location_index" => argument.index = self.number(next),
                b"air.address_space" => argument.address_space = self.number(next),
                b"air.arg_type_name" => argument.type_name = name(next)?,
                b"air.arg_name" => argument.name = name(next)?,
                b"air.read" | b"air.write" | b"air.read_write" | b"air.sample" => {
                    argument.access = Some(shown(&word[b"air.".len()..])?);
                }
                _ => {}
            }
        }
        Ok(argument)
    }

    fn find(&self, id: u64) -> Option<&Metadata> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.metadata.get(index)
    }

    fn node(&self, id: u64) -> Result<&[u64]> {
        match self.find(id) {
            Some(Metadata::Node(ids)) => Ok(ids),
            _ => Err("a kernel's description is cut short".into()),
        }
    }

    fn text(&self, id: u64) -> Option<&[u8]> {
        match self.find(id) {
            Some(Metadata::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, id: u64) -> Option<u64> {
        match self.find(id) {
            Some(Metadata::Value(value)) => *self.values.get(usize::try_from(*value).ok()?)?,
            _ => None,
        }
    }
}

/// A text as it can be printed.
fn shown(text: &[u8]) -> Result<String> {
    match text.len() {
        0..=LONGEST_TEXT => Ok(printable(text)),
        length => Err(format!(
            "an argument's name or type has {length} characters"
        )),
    }
}

fn characters(fields: &[u64]) -> Vec<u8> {
    let byte = |field: &u64| u8::try_from(*field).unwrap_or(b'?');
    fields.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_beyond_all_metadata_is_an_error() {
        let module = Module {
            values: Vec::new(),
            metadata: Vec::new(),
            kernels: vec![u64::MAX],
            room: Room::of(0),
        };
        assert!(module.arguments().is_err());
    }
}
