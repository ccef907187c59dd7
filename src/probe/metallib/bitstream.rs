//! LLVM's bitstream container: blocks of records, read one at a time. What the records mean is
//! the reader's business. The bytes may be hostile: every length is held against what is left.

use std::collections::BTreeMap;
use std::rc::Rc;

type Result<T> = std::result::Result<T, String>;

/// Blocks in blocks; LLVM nests four.
const DEEPEST: usize = 16;
/// Fields of one record; the largest of MLX's metallibs have some thousand.
const MOST_FIELDS: usize = 1 << 16;
/// Of one block, and of one abbreviation; LLVM has a dozen of each. Both are gone through again
/// for each block and record.
const MOST_ABBREVIATIONS: usize = 256;
const MOST_OPERANDS: u64 = 64;
/// Of all blocks together that block 0 says abbreviations for.
const MOST_KNOWN: usize = 1024;
/// Block 0 of every stream: abbreviations for the records of other blocks.
const BLOCKINFO: u32 = 0;

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A block of this id begins; [`Stream::skip`] passes over it.
    Enter(u32),
    /// The block that began last ends.
    Exit,
    /// A record: its code, then its fields are in [`Stream::fields`].
    Record {
        /// What it is, in its block.
        code: u64,
        /// The bytes that follow the fields, where the record has some.
        blob: Option<&'a [u8]>,
    },
    /// The stream ends.
    End,
}

/// A stream, and how far it was read.
#[derive(Debug)]
pub struct Stream<'a> {
    bits: Bits<'a>,
    scopes: Vec<Scope>,
    known: BTreeMap<u32, Vec<Rc<Abbreviation>>>,
    fields: Vec<u64>,
}

#[derive(Debug)]
struct Scope {
    width: u32,
    /// The bit after the block.
    end: usize,
    abbreviations: Vec<Rc<Abbreviation>>,
}

#[derive(Debug)]
struct Abbreviation(Vec<Operand>);

#[derive(Debug, Clone, Copy)]
enum Operand {
    Literal(u64),
    Fixed(u32),
    Vbr(u32),
    Char6,
    Array,
    Blob,
}

impl<'a> Stream<'a> {
    /// A stream after its signature.
    pub fn new(bytes: &'a [u8]) -> Self {
        let bits = Bits { bytes, at: 0 };
        Stream {
            scopes: vec![Scope {
                width: 2,
                end: bits.end(),
                abbreviations: Vec::new(),
            }],
            bits,
            known: BTreeMap::new(),
            fields: Vec::new(),
        }
    }

    /// The fields of the record that came last.
    pub fn fields(&self) -> &[u64] {
        &self.fields
    }

    /// The next item.
    pub fn next(&mut self) -> Result<Item<'a>> {
        loop {
            let scope = self.scopes.last().ok_or("nothing follows the end")?;
            if self.bits.at >= scope.end {
                if self.scopes.len() > 1 {
                    return Err("a block does not end where it says".into());
                }
                return Ok(Item::End);
            }
            // The top level is padded to words.
            if self.scopes.len() == 1 && self.bits.end() - self.bits.at < 32 {
                return Ok(Item::End);
            }
            match self.bits.fixed(scope.width)? {
                0 => {
                    if self.scopes.len() == 1 {
                        return Err("a block ends that did not begin".into());
                    }
                    let ended = self.scopes.pop();
                    self.bits.align()?;
                    if ended.is_none_or(|scope| scope.end != self.bits.at) {
                        return Err("a block does not end where it says".into());
                    }
                    return Ok(Item::Exit);
                }
                1 => {
                    let id = self.enter()?;
                    if id != BLOCKINFO {
                        return Ok(Item::Enter(id));
                    }
                    self.blockinfo()?;
                }
                2 => {
                    let abbreviation = Rc::new(self.abbreviation()?);
                    add(&mut self.scope().abbreviations, abbreviation)?;
                }
                3 => {
                    let code = self.bits.vbr(6)?;
                    let count = self.bits.vbr(6)?;
                    self.fields.clear();
                    self.reserve(count, 6)?;
                    for _ in 0..count {
                        let field = self.bits.vbr(6)?;
                        self.fields.push(field);
                    }
                    return Ok(Item::Record { code, blob: None });
                }
                id => return self.abbreviated(id - 4),
            }
        }
    }

    /// Passes over the block that began last.
    pub fn skip(&mut self) -> Result<()> {
        if self.scopes.len() < 2 {
            return Err("there is no block to skip".into());
        }
        if let Some(scope) = self.scopes.pop() {
            self.bits.at = scope.end;
        }
        Ok(())
    }

    fn scope(&mut self) -> &mut Scope {
        // The outermost one is never taken away.
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn enter(&mut self) -> Result<u32> {
        let id = u32::try_from(self.bits.vbr(8)?).map_err(|_| "a block's id is too large")?;
        let width = u32::try_from(self.bits.vbr(4)?).unwrap_or(0);
        if !(2..=32).contains(&width) {
            return Err(format!("a block has abbreviation ids of {width} bits"));
        }
        self.bits.align()?;
        let words = self.bits.fixed(32)?;
        let length = usize::try_from(words).map_or(usize::MAX, |n| n.saturating_mul(32));
        let end = self.bits.at.saturating_add(length);
        if end > self.scope().end {
            return Err(format!(
                "a block of {words} words goes beyond what holds it"
            ));
        }
        if self.scopes.len() > DEEPEST {
            return Err("blocks are nested too deep".into());
        }
        self.scopes.push(Scope {
            width,
            end,
            abbreviations: self.known.get(&id).cloned().unwrap_or_default(),
        });
        Ok(id)
    }

    /// Reads block 0 to its end.
    fn blockinfo(&mut self) -> Result<()> {
        const SET_BLOCK: u64 = 1;
        let mut block = None;
        loop {
            let width = self.scope().width;
            match self.bits.fixed(width)? {
                0 => {
                    self.bits.align()?;
                    self.scopes.pop();
                    return Ok(());
                }
                2 => {
                    let abbreviation = Rc::new(self.abbreviation()?);
                    let id = block.ok_or("an abbreviation is for no block")?;
                    if self.known.values().map(Vec::len).sum::<usize>() >= MOST_KNOWN {
                        return Err("there are too many abbreviations".into());
                    }
                    add(self.known.entry(id).or_default(), abbreviation)?;
                }
                3 => {
                    let code = self.bits.vbr(6)?;
                    let count = self.bits.vbr(6)?;
                    self.reserve(count, 6)?;
                    for i in 0..count {
                        let field = self.bits.vbr(6)?;
                        if code == SET_BLOCK && i == 0 {
                            block = u32::try_from(field).ok();
                        }
                    }
                }
                other => return Err(format!("{other} is nothing that block 0 may have")),
            }
        }
    }

    fn abbreviation(&mut self) -> Result<Abbreviation> {
        let count = self.bits.vbr(5)?;
        if count > MOST_OPERANDS {
            return Err(format!("an abbreviation is of {count} fields"));
        }
        let mut operands = Vec::new();
        for _ in 0..count {
            if self.bits.fixed(1)? == 1 {
                operands.push(Operand::Literal(self.bits.vbr(8)?));
                continue;
            }
            let kind = self.bits.fixed(3)?;
            operands.push(match kind {
                1 | 2 => match (kind, self.bits.vbr(5)?) {
                    // A field of no bits is always 0.
                    (_, 0) => Operand::Literal(0),
                    (1, n @ 1..=64) => Operand::Fixed(u32::try_from(n).unwrap_or(64)),
                    (2, n @ 2..=32) => Operand::Vbr(u32::try_from(n).unwrap_or(32)),
                    (_, n) => return Err(format!("a field has {n} bits")),
                },
                3 => Operand::Array,
                4 => Operand::Char6,
                5 => Operand::Blob,
                _ => return Err(format!("{kind} is no kind of field")),
            });
        }
        Ok(Abbreviation(operands))
    }

    fn abbreviated(&mut self, index: u64) -> Result<Item<'a>> {
        let all = &self.scope().abbreviations;
        let found = usize::try_from(index).ok().and_then(|i| all.get(i));
        let abbreviation = found
            .cloned()
            .ok_or("a record has an unknown abbreviation")?;
        self.fields.clear();
        let mut blob = None;
        let mut operands = abbreviation.0.iter();
        while let Some(operand) = operands.next() {
            match operand {
                Operand::Array => {
                    let element = *operands.next().ok_or("an array has no element type")?;
                    let least = match element {
                        Operand::Fixed(n) | Operand::Vbr(n) => n,
                        Operand::Char6 => 6,
                        _ => return Err("an array's elements take no room".into()),
                    };
                    let count = self.bits.vbr(6)?;
                    self.reserve(count, least)?;
                    for _ in 0..count {
                        let field = self.bits.scalar(element)?;
                        self.fields.push(field);
                    }
                }
                Operand::Blob => {
                    let length = self.bits.vbr(6)?;
                    self.bits.align()?;
                    blob = Some(self.bits.take(length)?);
                    self.bits.align()?;
                }
                scalar => {
                    let field = self.bits.scalar(*scalar)?;
                    self.fields.push(field);
                }
            }
        }
        if self.fields.is_empty() {
            return Err("a record has no code".into());
        }
        let code = self.fields.remove(0);
        Ok(Item::Record { code, blob })
    }

    /// That many fields of at least so many bits can follow.
    fn reserve(&mut self, count: u64, bits: u32) -> Result<()> {
        let left = self.bits.end() - self.bits.at;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MOST_FIELDS || count.saturating_mul(bits as usize) > left {
            return Err(format!("a record of {count} fields goes beyond the end"));
        }
        self.fields.reserve(count);
        Ok(())
    }
}

fn add(all: &mut Vec<Rc<Abbreviation>>, one: Rc<Abbreviation>) -> Result<()> {
    if all.len() >= MOST_ABBREVIATIONS {
        return Err("a block has too many abbreviations".into());
    }
    all.push(one);
    Ok(())
}

#[derive(Debug)]
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn end(&self) -> usize {
        self.bytes.len() * 8
    }

    fn fixed_at(&self, width: u32) -> Result<u64> {
        let width = width as usize;
        if width > self.end() - self.at {
            return Err("it ends in the middle of a record".into());
        }
        let first = self.at / 8;
        let mut word = [0; 16];
        let some = &self.bytes[first..self.bytes.len().min(first + 9)];
        word[..some.len()].copy_from_slice(some);
        let value = u128::from_le_bytes(word) >> (self.at % 8);
        let mask = (1u128 << width) - 1;
        Ok(u64::try_from(value & mask).unwrap_or(u64::MAX))
    }

    fn fixed(&mut self, width: u32) -> Result<u64> {
        let value = self.fixed_at(width)?;
        self.at += width as usize;
        Ok(value)
    }

    /// Chunks of `width` bits, the highest of which says whether another one follows.
    fn vbr(&mut self, width: u32) -> Result<u64> {
        let more = 1u64 << (width - 1);
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let chunk = self.fixed(width)?;
            if shift < 64 {
                value |= (chunk & (more - 1)) << shift;
            }
            if chunk & more == 0 {
                return Ok(value);
            }
            shift += width - 1;
            if shift > 80 {
                return Err("a number has more than 64 bits".into());
            }
        }
    }

    fn scalar(&mut self, operand: Operand) -> Result<u64> {
        match operand {
            Operand::Literal(value) => Ok(value),
            Operand::Fixed(width) => self.fixed(width),
            Operand::Vbr(width) => self.vbr(width),
            Operand::Char6 => {
                let all = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
                let index = usize::try_from(self.fixed(6)?).unwrap_or(0);
                Ok(u64::from(all[index]))
            }
            Operand::Array | Operand::Blob => Err("an array is no element".into()),
        }
    }

    fn align(&mut self) -> Result<()> {
        self.at = self.at.div_ceil(32) * 32;
        match self.at <= self.end() {
            true => Ok(()),
            false => Err("it ends in the middle of a word".into()),
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let first = self.at / 8;
        let rest = &self.bytes[first..];
        let taken = usize::try_from(length).ok().and_then(|n| rest.get(..n));
        let taken = taken.ok_or_else(|| format!("{length} bytes go beyond the end"))?;
        self.at += taken.len() * 8;
        Ok(taken)
    }
}

/// `count` numbers in chunks of `width` bits, read one after another as they are asked for.
pub fn numbers(bytes: &[u8], width: u32, count: u64) -> impl Iterator<Item = Result<u64>> {
    let mut bits = Bits { bytes, at: 0 };
    (0..count).map(move |_| bits.vbr(width))
}

#[cfg(test)]
mod tests;
