//! Streams written bit by bit, and read again.

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
