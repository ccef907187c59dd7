//! LLVM's bitstream container: blocks of records, read one at a time. What the records mean is
//! the reader's business. The bytes may be hostile: every length is held against what is left.

use std::collections::BTreeMap;
use std::rc::Rc;

type Result<T> = std::result::Result<T, String>;

/// Blocks in blocks; LLVM nests four.
const DEEPEST: usize = 16;
/// Fields of one record; the largest of MLX's metallibs have some thousand.
const MOST_FIELDS: usize = 1 << 20;
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
                    self.scope().abbreviations.push(abbreviation);
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
                    self.known.entry(id).or_default().push(abbreviation);
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
        self.reserve(count, 1)?;
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

/// `count` numbers in chunks of `width` bits, one after another.
pub fn numbers(bytes: &[u8], width: u32, count: u64) -> Result<Vec<u64>> {
    let mut bits = Bits { bytes, at: 0 };
    (0..count).map(|_| bits.vbr(width)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes what [`Bits`] reads.
    #[derive(Default)]
    pub struct Writer {
        bits: Vec<bool>,
    }

    impl Writer {
        pub fn fixed(&mut self, value: u64, width: u32) -> &mut Self {
            self.bits.extend((0..width).map(|i| value >> i & 1 == 1));
            self
        }

        pub fn vbr(&mut self, mut value: u64, width: u32) -> &mut Self {
            let most = 1 << (width - 1);
            while value >= most {
                self.fixed(value & (most - 1) | most, width);
                value >>= width - 1;
            }
            self.fixed(value, width)
        }

        pub fn align(&mut self) -> &mut Self {
            let length = self.bits.len().div_ceil(32) * 32;
            self.bits.resize(length, false);
            self
        }

        /// An unabbreviated record, where ids have 2 bits.
        pub fn record(&mut self, code: u64, fields: &[u64]) -> &mut Self {
            self.fixed(3, 2).vbr(code, 6).vbr(fields.len() as u64, 6);
            for field in fields {
                self.vbr(*field, 6);
            }
            self
        }

        /// A block, in a scope whose ids have 2 bits.
        pub fn block(&mut self, id: u64, inside: impl FnOnce(&mut Writer)) -> &mut Self {
            let mut inner = Writer::default();
            inside(&mut inner);
            inner.fixed(0, 2).align();
            self.fixed(1, 2).vbr(id, 8).vbr(2, 4).align();
            self.fixed(inner.bits.len() as u64 / 32, 32);
            self.bits.extend(inner.bits);
            self
        }

        pub fn bytes(&mut self) -> Vec<u8> {
            self.align();
            let byte = |bits: &[bool]| (0..8).map(|i| u8::from(bits[i]) << i).sum();
            self.bits.chunks(8).map(byte).collect()
        }
    }

    #[test]
    fn records_and_blocks_come_out_as_they_were_written() {
        let bytes = Writer::default()
            .block(8, |w| {
                w.record(1, &[2, 70_000, u64::MAX]);
                w.block(15, |w| {
                    w.record(4, &[]);
                });
            })
            .bytes();
        let mut stream = Stream::new(&bytes);
        assert_eq!(stream.next(), Ok(Item::Enter(8)));
        let record = |code| Ok(Item::Record { code, blob: None });
        assert_eq!(stream.next(), record(1));
        assert_eq!(stream.fields(), [2, 70_000, u64::MAX]);
        assert_eq!(stream.next(), Ok(Item::Enter(15)));
        assert_eq!(stream.next(), record(4));
        assert_eq!(stream.next(), Ok(Item::Exit));
        assert_eq!(stream.next(), Ok(Item::Exit));
        assert_eq!(stream.next(), Ok(Item::End));
    }

    #[test]
    fn a_block_can_be_skipped() {
        let bytes = Writer::default()
            .block(8, |w| {
                w.record(1, &[7; 40]);
            })
            .block(9, |_| {})
            .bytes();
        let mut stream = Stream::new(&bytes);
        assert_eq!(stream.next(), Ok(Item::Enter(8)));
        stream.skip().unwrap();
        assert_eq!(stream.next(), Ok(Item::Enter(9)));
    }

    #[test]
    fn an_abbreviation_says_how_a_record_is_written() {
        // A block whose ids have 3 bits, so that 4 is its first abbreviation.
        let mut inner = Writer::default();
        inner.fixed(2, 3).vbr(4, 5);
        inner.fixed(1, 1).vbr(35, 8); // the code
        inner.fixed(0, 1).fixed(1, 3).vbr(4, 5); // a number of 4 bits
        inner.fixed(0, 1).fixed(3, 3); // an array
        inner.fixed(0, 1).fixed(4, 3); // of characters
        inner.fixed(4, 3).fixed(9, 4).vbr(3, 6);
        inner.fixed(0, 6).fixed(26, 6).fixed(62, 6);
        inner.fixed(0, 3).align();
        let mut outer = Writer::default();
        outer.fixed(1, 2).vbr(8, 8).vbr(3, 4).align();
        outer.fixed(inner.bits.len() as u64 / 32, 32);
        outer.bits.extend(inner.bits);
        let bytes = outer.bytes();
        let mut stream = Stream::new(&bytes);
        assert_eq!(stream.next(), Ok(Item::Enter(8)));
        let record = Item::Record {
            code: 35,
            blob: None,
        };
        assert_eq!(stream.next(), Ok(record));
        let text = [b'a', b'A', b'.'].map(u64::from);
        assert_eq!(stream.fields(), [&[9][..], &text].concat());
        assert_eq!(stream.next(), Ok(Item::Exit));
    }

    #[test]
    fn lengths_that_overflow_are_errors() {
        for count in [u64::MAX, 1 << 40, 1 << 20] {
            let mut writer = Writer::default();
            writer.block(8, |w| {
                w.fixed(3, 2).vbr(1, 6).vbr(count, 6);
            });
            let bytes = writer.bytes();
            let mut stream = Stream::new(&bytes);
            assert_eq!(stream.next(), Ok(Item::Enter(8)));
            assert!(stream.next().is_err(), "{count}");
        }
        let mut beyond = Writer::default();
        beyond.fixed(1, 2).vbr(8, 8).vbr(2, 4).align();
        let bytes = beyond.fixed(u64::from(u32::MAX), 32).bytes();
        assert!(Stream::new(&bytes).next().is_err());
    }
}
