//! Streams written bit by bit, and read again.

use super::*;
use crate::probe::crafted::Bits as Writer;

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
    let bytes = Writer::default()
        .wide_block(8, 3, |w| {
            w.fixed(2, 3).vbr(4, 5);
            w.fixed(1, 1).vbr(35, 8); // the code
            w.fixed(0, 1).fixed(1, 3).vbr(4, 5); // a number of 4 bits
            w.fixed(0, 1).fixed(3, 3); // an array
            w.fixed(0, 1).fixed(4, 3); // of characters
            w.fixed(4, 3).fixed(9, 4).vbr(3, 6);
            w.fixed(0, 6).fixed(26, 6).fixed(62, 6);
        })
        .bytes();
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
