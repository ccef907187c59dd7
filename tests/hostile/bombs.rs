//! Small files that would say a lot: each is refused, or costs no more than any file may.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::crafted::{self, Bits, Function, Symbol};
use crate::meter::{Cost, read};

fn refused(name: &str, bytes: &[u8], because: &str) -> Cost {
    let cost = read(name, bytes);
    match &cost.result {
        Ok(_) => panic!("{name} is not refused"),
        Err(why) => assert!(why.contains(because), "{name}: {why}"),
    }
    cost
}

#[test]
fn a_universal_file_of_too_many_shared_or_nested_parts_is_refused() {
    let inner = crafted::macho(6, &crafted::SYMBOLS);
    let size = u32::try_from(inner.len()).unwrap();
    for count in [u32::MAX, 1 << 31, 1 << 20] {
        refused("count", &crafted::fat_of(count, &[(28, size)], &inner), "");
    }
    let many = vec![(0, 0); 17];
    refused(
        "many",
        &crafted::fat_of(17, &many, &inner),
        "17 architectures",
    );
    refused("none", &crafted::fat_of(0, &[], &inner), "");
    let at = 8 + 2 * 20;
    let same = crafted::fat_of(2, &[(at, size), (at, size)], &inner);
    refused("same", &same, "share bytes");
    let beyond = crafted::fat_of(1, &[(28, u32::MAX)], &inner);
    refused("beyond", &beyond, "damaged");
    let wraps = crafted::fat_of(1, &[(u32::MAX, u32::MAX)], &inner);
    refused("wraps", &wraps, "damaged");
    let nested = crafted::fat(&[&crafted::fat(&[&inner])]);
    refused("nested", &nested, "no Mach-O");
    // The file itself as a part of it.
    let itself = crafted::fat_of(1, &[(0, size + 28)], &inner);
    refused("itself", &itself, "no Mach-O");
}

/// A table of symbols whose names are the ends of one long text.
#[test]
fn names_that_overlap_do_not_add_up_to_more_than_a_build_has() {
    let text = "n".repeat(30_000);
    let symbol = |name| Symbol {
        name,
        defined: true,
    };
    let long = crafted::elf(&[symbol(text.as_bytes())]);
    let strings_at = long.windows(9).position(|w| w == b"nnnnnnnnn").unwrap() - 1;
    // The table is moved behind the file, one entry for each place in the text.
    let mut bytes = long.clone();
    let table_at = bytes.len() as u64;
    let entry = long[64 + 24..64 + 48].to_vec();
    for begin in 0..20_000_u32 {
        let mut entry = entry.clone();
        entry[..4].copy_from_slice(&(begin + 1).to_le_bytes());
        bytes.extend(entry);
    }
    let size = bytes.len() as u64 - table_at;
    // Section 1 is the table: its place and size in the section header.
    let header = usize::try_from(u64::from_le_bytes(long[40..48].try_into().unwrap())).unwrap();
    bytes[header + 64 + 24..header + 64 + 32].copy_from_slice(&table_at.to_le_bytes());
    bytes[header + 64 + 32..header + 64 + 40].copy_from_slice(&size.to_le_bytes());
    assert!(strings_at < header);
    refused("overlapping names", &bytes, "more than any build");
    // Few of them are no reason to refuse.
    let few = crafted::elf(&[symbol(text.as_bytes()), symbol(b"n")]);
    assert_eq!(read("long", &few).result.unwrap()[0].functions.len(), 2);
}

#[test]
fn names_that_unfold_when_they_are_read_as_cpp_stay_small() {
    // Each argument is all that was there before it, four times.
    let mut level = String::from("1aIiiE");
    let mut names = Vec::new();
    for back in [
        "S_", "S0_", "S1_", "S2_", "S3_", "S4_", "S5_", "S6_", "S7_", "S8_",
    ] {
        level = format!("1aI{level}{back}{back}{back}{back}E");
        names.push(format!("_Z1fI{level}Evv"));
    }
    // As many names, each a little different, as a file of half a megabyte holds.
    let all: Vec<String> = (0..3000)
        .map(|i| names[i % names.len()].replace("1f", &format!("5f{i:04}")))
        .collect();
    let symbols: Vec<Symbol> = all
        .iter()
        .map(|name| Symbol {
            name: name.as_bytes(),
            defined: true,
        })
        .collect();
    for bytes in [crafted::elf(&symbols), crafted::macho(6, &symbols)] {
        read("unfolding names", &bytes);
    }
    // Types in types, deeper than a stack is.
    for deep in ["P", "I1a", "N", "F", "X"] {
        let name = format!("_Z1f{}", deep.repeat(10_000));
        let symbol = Symbol {
            name: name.as_bytes(),
            defined: true,
        };
        read(deep, &crafted::elf(&[symbol]));
    }
}

#[test]
fn a_metal_library_of_kernels_that_share_their_bitcode_is_refused() {
    let code = crafted::bitcode("y");
    let names: Vec<String> = (0..20_000).map(|i| format!("k{i}")).collect();
    let functions: Vec<Function> = names
        .iter()
        .map(|name| Function {
            name,
            kind: 2,
            bitcode: (0, code.len() as u64),
        })
        .collect();
    let bytes = crafted::metallib_of(&functions, &code);
    refused("shared bitcode", &bytes, "share bitcode");
}

#[test]
fn a_list_of_functions_that_counts_wrongly_or_points_back_is_refused() {
    let whole = crafted::metallib(&[("k", &crafted::bitcode("y"))]);
    let with = |at: usize, value: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let list = 0x58;
    refused("count", &with(list, &u32::MAX.to_le_bytes()), "");
    refused("empty entry", &with(list + 4, &[0; 4]), "");
    refused("entry of itself", &with(list + 4, &4_u32.to_le_bytes()), "");
    refused("long entry", &with(list + 4, &u32::MAX.to_le_bytes()), "");
    for part in [0x18, 0x20, 0x48, 0x50] {
        refused("part", &with(part, &u64::MAX.to_le_bytes()), "");
        // The header as a list, or bitcode that begins in it.
        read("points back", &with(part, &[0; 8]));
    }
}

/// Bitcode of one module with these blocks in it, ids of 3 bits so that 4 is an abbreviation.
fn module(width: u32, inside: impl FnOnce(&mut Bits)) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.wide_block(8, width, inside);
    crafted::metallib(&[("k", &crafted::signed(bits.bytes()))])
}

#[test]
fn records_of_almost_no_bits_do_not_fill_the_memory() {
    // Values: a record is its abbreviation's id, three bits; its one field is a literal.
    let values = module(3, |w| {
        w.fixed(2, 3).vbr(1, 5).fixed(1, 1).vbr(8, 8);
        for _ in 0..2_000_000 {
            w.fixed(4, 3);
        }
    });
    refused("values", &values, "more than any build");
    // Nodes of 60,000 ids, one bit each.
    let mut bits = Bits::default();
    bits.block(8, |w| {
        w.wide_block(15, 3, |w| {
            w.fixed(2, 3).vbr(3, 5).fixed(1, 1).vbr(3, 8);
            w.fixed(0, 1).fixed(3, 3).fixed(0, 1).fixed(1, 3).vbr(1, 5);
            for _ in 0..100 {
                w.fixed(4, 3).vbr(60_000, 6);
                for _ in 0..60_000 / 50 {
                    w.fixed(0, 50);
                }
            }
        });
    });
    let nodes = crafted::metallib(&[("k", &crafted::signed(bits.bytes()))]);
    refused("nodes", &nodes, "more than any build");
    // Records that are passed over cost time only.
    let others = module(3, |w| {
        w.fixed(2, 3).vbr(1, 5).fixed(1, 1).vbr(99, 8);
        for _ in 0..2_000_000 {
            w.fixed(4, 3);
        }
    });
    assert!(refused("others", &others, "no kernel").memory < 64 << 20);
}

/// Strings without a character, of which six bits are one.
#[test]
fn lengths_of_strings_are_not_kept() {
    let lengths = 3 << 20;
    let strings = module(2, |w| {
        w.wide_block(15, 3, |w| {
            w.fixed(2, 3).vbr(4, 5).fixed(1, 1).vbr(35, 8); // texts
            w.fixed(0, 1).fixed(2, 3).vbr(6, 5); // how many
            w.fixed(0, 1).fixed(2, 3).vbr(6, 5); // where the characters begin
            w.fixed(0, 1).fixed(5, 3); // bytes
            w.fixed(4, 3).vbr(lengths * 8 / 6, 6).vbr(lengths, 6);
            w.vbr(lengths, 6).align();
            for _ in 0..lengths / 4 {
                w.fixed(0, 32);
            }
        });
    });
    let cost = refused("strings", &strings, "more than any build");
    assert!(cost.memory < 16 << 20, "{} bytes", cost.memory);
}

/// Another thread, as another test has it, that takes memory all the time.
#[test]
fn memory_of_other_threads_is_not_counted() {
    let done = AtomicBool::new(false);
    let file = crafted::elf(&crafted::SYMBOLS);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::hint::black_box(vec![1_u8; 32 << 20]);
            }
        });
        let most = (0..200).map(|_| read("elf", &file).memory).max();
        done.store(true, Ordering::Relaxed);
        assert!(most < Some(1 << 20), "{most:?} bytes");
    });
}

#[test]
fn abbreviations_are_counted() {
    // One that a record of three bits goes through, as long as it gets.
    let long = module(3, |w| {
        w.fixed(2, 3).vbr(10_000, 5);
        for _ in 0..10_000 {
            w.fixed(1, 1).vbr(8, 8);
        }
        for _ in 0..100_000 {
            w.fixed(4, 3);
        }
    });
    refused("long", &long, "10000 fields");
    // Many for a block that begins many times: each time it is given them all.
    let mut bits = Bits::default();
    bits.block(0, |w| {
        w.record(1, &[8]);
        for _ in 0..100_000 {
            w.fixed(2, 2).vbr(1, 5).fixed(1, 1).vbr(8, 8);
        }
    });
    for _ in 0..10_000 {
        bits.block(8, |_| {});
    }
    let many = crafted::metallib(&[("k", &crafted::signed(bits.bytes()))]);
    refused("many", &many, "too many abbreviations");
    // Some for each of many blocks, which take far more to remember than to say.
    let mut bits = Bits::default();
    bits.block(0, |w| {
        for id in 0..10_000 {
            w.record(1, &[id]);
            for _ in 0..200 {
                w.fixed(2, 2).vbr(0, 5);
            }
        }
    });
    let wide = crafted::metallib(&[("k", &crafted::signed(bits.bytes()))]);
    refused("wide", &wide, "too many abbreviations");
    // An array of arrays, and one of nothing.
    for element in [3, 5] {
        let nested = module(3, |w| {
            w.fixed(2, 3).vbr(2, 5).fixed(0, 1).fixed(3, 3);
            w.fixed(0, 1).fixed(element, 3).fixed(4, 3).vbr(9, 6);
        });
        refused("nested", &nested, "array");
    }
}

#[test]
fn blocks_in_blocks_end_before_the_stack_does() {
    fn nest(w: &mut Bits, depth: usize) {
        if depth > 0 {
            w.block(8, |w| nest(w, depth - 1));
        }
    }
    let mut bits = Bits::default();
    nest(&mut bits, 200);
    let deep = crafted::metallib(&[("k", &crafted::signed(bits.bytes()))]);
    // The blocks inside are passed over, not gone into.
    refused("deep", &deep, "no kernel");
}

#[test]
fn an_argument_that_says_one_thing_again_and_again_is_refused() {
    let text = "t".repeat(60_000);
    let mut bits = Bits::default();
    bits.block(8, |w| {
        w.record(8, &[0]);
        w.block(15, |w| {
            w.text(1, &text); // 0
            w.text(1, "air.arg_name"); // 1
            w.record(3, &[1, 1, 2, 1]); // 2: an argument, named by the text
            w.record(3, &[3; 500]); // 3: the arguments
            w.record(3, &[1, 1, 4]); // 4: the kernel
            w.text(4, "air.kernel");
            w.record(10, &[4]);
        });
    });
    let code = crafted::signed(bits.bytes());
    let names: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    let kernels: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &code[..])).collect();
    let bytes = crafted::metallib(&kernels);
    refused("long names", &bytes, "60000 characters");
}

#[test]
fn wheels_in_wheels_and_bombs_are_refused() {
    let inner = crafted::wheel(&[("a.so", b"x")]);
    let nested = crafted::wheel(&[("inner.so", &inner)]);
    refused("nested", &nested, "an archive in an archive");
    let zeros = vec![0; 100 << 20];
    let cost = refused(
        "bomb",
        &crafted::wheel(&[("a.so", &zeros)]),
        "unpacks to more",
    );
    assert!(cost.memory < 64 << 20, "{}", cost.memory);
    // Many that together are too much.
    let names: Vec<String> = (0..40).map(|i| format!("{i}.so")).collect();
    let part = [crafted::elf(&crafted::SYMBOLS), vec![0; 1 << 20]].concat();
    let members: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &part[..])).collect();
    refused("parts", &crafted::wheel(&members), "unpacks to more");
    refused(
        "no library",
        &crafted::wheel(&[("a.txt", b"x")]),
        "no library in it",
    );
    refused(
        "text",
        &crafted::wheel(&[("a.so", b"GROUP ( libc )")]),
        "a.so in it",
    );
}

/// Members of an archive that all lie in the same place.
#[test]
fn members_that_share_their_bytes_do_not_unpack_without_end() {
    let library = crafted::elf(&crafted::SYMBOLS);
    let padded = [library, vec![0; 1 << 20]].concat();
    let one = crafted::wheel(&[("a.so", &padded)]);
    let end = one.len() - 22;
    let word = |at: usize| u32::from_le_bytes(one[at..at + 4].try_into().unwrap()) as usize;
    let directory = word(end + 16);
    let entry = &one[directory..end];
    let mut bytes = one[..directory].to_vec();
    let count = 1000_u16;
    for i in 0..count {
        let mut entry = entry.to_vec();
        let name = format!("{i:04}.so");
        entry[28..30].copy_from_slice(&7_u16.to_le_bytes());
        entry.splice(46..46 + 4, name.bytes());
        bytes.extend(entry);
    }
    let size = u32::try_from(bytes.len() - directory).unwrap();
    let mut tail = one[end..].to_vec();
    tail[8..10].copy_from_slice(&count.to_le_bytes());
    tail[10..12].copy_from_slice(&count.to_le_bytes());
    tail[12..16].copy_from_slice(&size.to_le_bytes());
    bytes.extend(tail);
    refused("shared members", &bytes, "unpacks to more");
}
