//! Small libraries, Metal libraries and bitcode, byte by byte, as no compiler of this machine
//! writes them: the whole ones that tests read, and the start of those that they damage.

#![allow(dead_code, reason = "each test program uses its own part")]

/// Bits, lowest first, in 32-bit words: LLVM's bitstream.
#[derive(Default)]
pub struct Bits {
    bits: Vec<bool>,
}

impl Bits {
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

    /// A record of characters.
    pub fn text(&mut self, code: u64, text: &str) -> &mut Self {
        let fields: Vec<u64> = text.bytes().map(u64::from).collect();
        self.record(code, &fields)
    }

    /// A block whose ids have 2 bits, in a scope whose ids have 2 bits.
    pub fn block(&mut self, id: u64, inside: impl FnOnce(&mut Bits)) -> &mut Self {
        self.wide_block(id, 2, inside)
    }

    /// A block whose ids have `width` bits, in a scope whose ids have 2 bits.
    pub fn wide_block(&mut self, id: u64, width: u32, inside: impl FnOnce(&mut Bits)) -> &mut Self {
        let mut inner = Bits::default();
        inside(&mut inner);
        inner.fixed(0, width).align();
        self.fixed(1, 2).vbr(id, 8).vbr(u64::from(width), 4).align();
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

/// Bitcode of a kernel with two arguments: `device float* NAME` at 6, and a grid position.
pub fn bitcode(argument: &str) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.block(8, |w| {
        w.record(8, &[0, 3]); // a function: value 0
        w.block(11, |w| {
            w.record(1, &[1]); // of a type
            w.record(4, &[6 << 1]); // 6: value 1
            w.record(2, &[]); // 0: value 2
            w.record(4, &[1 << 1]); // 1: value 3
        });
        w.block(15, |w| {
            let words = [
                "air.buffer",
                "air.location_index",
                "air.read_write",
                "air.address_space",
                "air.arg_type_name",
                "float",
                "air.arg_name",
                argument,
                "air.thread_position_in_grid",
            ];
            for word in words {
                w.text(1, word); // 0 to 8
            }
            for value in 0..4 {
                w.record(2, &[0, value]); // 9: the function, 10: 6, 11: 0, 12: 1
            }
            // Ids in nodes are one more.
            w.record(3, &[12, 1, 2, 11, 13, 3, 4, 13, 5, 6, 7, 8]); // 13
            w.record(3, &[13, 9]); // 14
            w.record(3, &[14, 15]); // 15: the arguments
            w.record(3, &[]); // 16: no outputs
            w.record(3, &[10, 17, 16]); // 17: the kernel
            w.text(4, "air.kernel");
            w.record(10, &[17]);
        });
    });
    signed(bits.bytes())
}

/// Bitcode that says the same as [`bitcode`] as LLVM does today: abbreviations from block 0, and
/// all texts in one record, whose lengths and characters are bytes behind it.
pub fn abbreviated(argument: &str) -> Vec<u8> {
    let words = [
        "air.buffer",
        "air.location_index",
        "air.read_write",
        "air.arg_type_name",
        "float",
        "air.arg_name",
        argument,
    ];
    let mut lengths = Bits::default();
    for word in words {
        lengths.vbr(word.len() as u64, 6);
    }
    let lengths = lengths.bytes();
    let texts = [lengths.clone(), words.concat().into_bytes()].concat();
    let mut bits = Bits::default();
    bits.block(0, |w| {
        w.record(1, &[15]); // for metadata
        w.fixed(2, 2).vbr(4, 5); // 4: texts
        w.fixed(1, 1).vbr(35, 8);
        w.fixed(0, 1).fixed(2, 3).vbr(6, 5); // how many
        w.fixed(0, 1).fixed(2, 3).vbr(6, 5); // where the characters begin
        w.fixed(0, 1).fixed(5, 3); // bytes
        w.fixed(2, 2).vbr(3, 5); // 5: a node
        w.fixed(1, 1).vbr(3, 8);
        w.fixed(0, 1).fixed(3, 3);
        w.fixed(0, 1).fixed(1, 3).vbr(5, 5); // ids of 5 bits
    });
    bits.block(8, |w| {
        w.record(8, &[0, 3]); // a function: value 0
        w.block(11, |w| {
            w.record(1, &[1]).record(4, &[6 << 1]); // 6: value 1
        });
        w.wide_block(15, 3, |w| {
            let node = |w: &mut Bits, ids: &[u64]| {
                w.fixed(5, 3).vbr(ids.len() as u64, 6);
                for id in ids {
                    w.fixed(*id, 5);
                }
            };
            w.fixed(4, 3).vbr(words.len() as u64, 6);
            w.vbr(lengths.len() as u64, 6);
            w.vbr(texts.len() as u64, 6).align(); // 0 to 6
            for byte in &texts {
                w.fixed(u64::from(*byte), 8);
            }
            w.align();
            for value in 0..2 {
                w.fixed(3, 3).vbr(2, 6).vbr(2, 6).vbr(0, 6).vbr(value, 6); // 7: the function, 8: 6
            }
            node(w, &[9, 1, 2, 9, 3, 4, 5, 6, 7]); // 9
            node(w, &[10]); // 10: the arguments
            node(w, &[8, 0, 11]); // 11: the kernel
            w.fixed(3, 3).vbr(4, 6).vbr(10, 6);
            for byte in b"air.kernel" {
                w.vbr(u64::from(*byte), 6);
            }
            w.fixed(3, 3).vbr(10, 6).vbr(1, 6).vbr(11, 6);
        });
    });
    signed(bits.bytes())
}

/// Bitcode in Apple's wrapper: five words, then the stream.
pub fn wrapped(bitcode: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bitcode.len()).unwrap();
    let words = [0x0b17_c0de, 0, 20, size, 0_u32];
    let header = words.map(u32::to_le_bytes).concat();
    [header, bitcode.to_vec()].concat()
}

/// A stream with the signature of bitcode.
pub fn signed(stream: Vec<u8>) -> Vec<u8> {
    [b"BC\xc0\xde".to_vec(), stream].concat()
}

/// A function in a Metal library.
pub struct Function<'a> {
    pub name: &'a str,
    /// 2 is a kernel.
    pub kind: u8,
    /// Where its bitcode begins, and how long it is.
    pub bitcode: (u64, u64),
}

/// A Metal library with these kernels, each with its bitcode.
pub fn metallib(kernels: &[(&str, &[u8])]) -> Vec<u8> {
    let mut at = 0;
    let functions: Vec<Function> = kernels
        .iter()
        .map(|(name, code)| {
            let bitcode = (at, code.len() as u64);
            at += bitcode.1;
            let kind = 2;
            Function {
                name,
                kind,
                bitcode,
            }
        })
        .collect();
    let codes: Vec<&[u8]> = kernels.iter().map(|(_, code)| *code).collect();
    metallib_of(&functions, &codes.concat())
}

/// A Metal library that says this of its bitcode.
pub fn metallib_of(functions: &[Function], bitcode: &[u8]) -> Vec<u8> {
    let tag = |out: &mut Vec<u8>, name: &[u8], data: &[u8]| {
        out.extend(name);
        out.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        out.extend(data);
    };
    let mut list = Vec::new();
    for function in functions {
        let mut entry = Vec::new();
        let name = [function.name.as_bytes(), b"\0"].concat();
        tag(&mut entry, b"NAME", &name);
        tag(&mut entry, b"TYPE", &[function.kind]);
        let (offset, size) = function.bitcode;
        let offsets = [0, 0, offset].map(u64::to_le_bytes).concat();
        tag(&mut entry, b"OFFT", &offsets);
        tag(&mut entry, b"MDSZ", &size.to_le_bytes());
        entry.extend(b"ENDT");
        list.extend(u32::try_from(4 + entry.len()).unwrap().to_le_bytes());
        list.extend(entry);
    }
    let at = 0x58;
    // The count of functions stands before the list and is not in its size.
    let end = at + 4 + list.len();
    let parts = [(at, list.len()), (end, 0), (end, 0), (end, bitcode.len())];
    let mut out = b"MTLB".to_vec();
    out.resize(0x10, 0);
    out.extend(((end + bitcode.len()) as u64).to_le_bytes());
    for (offset, size) in parts {
        out.extend((offset as u64).to_le_bytes());
        out.extend((size as u64).to_le_bytes());
    }
    out.extend(u32::try_from(functions.len()).unwrap().to_le_bytes());
    out.extend(list);
    out.extend(bitcode);
    out
}

/// One symbol of a library.
#[derive(Clone, Copy)]
pub struct Symbol<'a> {
    pub name: &'a [u8],
    /// Exported, or else taken from others.
    pub defined: bool,
}

/// The name that [`SYMBOLS`] has in C++.
pub const FUNCTION: &str = "mlx::core::one";

/// A C function, one of C++ (`void mlx::core::one()`), and one that is taken from others.
pub const SYMBOLS: [Symbol; 3] = [
    Symbol {
        name: b"mlx_fork_answer",
        defined: true,
    },
    Symbol {
        name: b"_ZN3mlx4core3oneEv",
        defined: true,
    },
    Symbol {
        name: b"elsewhere",
        defined: false,
    },
];

/// Names with an underscore before each where `prefix` is one, and where each begins.
fn strings(symbols: &[Symbol], prefix: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let mut all = vec![0];
    let mut at = Vec::new();
    for symbol in symbols {
        at.push(u32::try_from(all.len()).unwrap());
        all.extend(prefix);
        all.extend(symbol.name);
        all.push(0);
    }
    (all, at)
}

/// A Mach-O file for aarch64: a header, a segment with `__text`, a symbol table. File type 6 is
/// a shared library.
pub fn macho(filetype: u32, symbols: &[Symbol]) -> Vec<u8> {
    let (strings, names) = strings(symbols, b"_");
    let count = u32::try_from(symbols.len()).unwrap();
    let symbols_at = 32 + 152 + 24;
    let strings_at = symbols_at + count * 16;
    let mut out = Vec::new();
    let word = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
    let long = |out: &mut Vec<u8>, v: u64| out.extend(v.to_le_bytes());
    for v in [0xfeed_facf, 0x0100_000c, 0, filetype, 2, 176, 0, 0] {
        word(&mut out, v);
    }
    word(&mut out, 0x19);
    word(&mut out, 152);
    out.extend(b"__TEXT\0\0\0\0\0\0\0\0\0\0");
    for v in [0, 0x1000, 0, 0] {
        long(&mut out, v);
    }
    for v in [5, 5, 1, 0] {
        word(&mut out, v);
    }
    out.extend(b"__text\0\0\0\0\0\0\0\0\0\0__TEXT\0\0\0\0\0\0\0\0\0\0");
    long(&mut out, 0);
    long(&mut out, 0x100);
    for v in [0, 0, 0, 0, 0x8000_0400, 0, 0, 0] {
        word(&mut out, v);
    }
    let length = u32::try_from(strings.len()).unwrap();
    for v in [2, 24, symbols_at, count, strings_at, length] {
        word(&mut out, v);
    }
    for (symbol, name) in symbols.iter().zip(names) {
        word(&mut out, name);
        let (kind, section) = if symbol.defined { (0x0f, 1) } else { (0x01, 0) };
        out.extend([kind, section, 0, 0]);
        long(&mut out, 0);
    }
    out.extend(strings);
    out
}

/// A Mach-O file of several architectures: where each begins, and how long it is.
pub fn fat_of(count: u32, parts: &[(u32, u32)], data: &[u8]) -> Vec<u8> {
    let mut words = vec![0xcafe_babe_u32, count];
    for (at, size) in parts {
        words.extend([0x0100_000c, 0, *at, *size, 0]);
    }
    let mut out: Vec<u8> = words.iter().flat_map(|v| v.to_be_bytes()).collect();
    out.extend(data);
    out
}

/// A Mach-O file of several architectures with these in it, one after another.
pub fn fat(parts: &[&[u8]]) -> Vec<u8> {
    let mut at = u32::try_from(8 + 20 * parts.len()).unwrap();
    let place = |part: &&[u8]| {
        let size = u32::try_from(part.len()).unwrap();
        at += size;
        (at - size, size)
    };
    let places: Vec<(u32, u32)> = parts.iter().map(place).collect();
    fat_of(
        u32::try_from(parts.len()).unwrap(),
        &places,
        &parts.concat(),
    )
}

/// An ELF shared library for x86-64: a header, a table of dynamic symbols, their names.
pub fn elf(symbols: &[Symbol]) -> Vec<u8> {
    let (strings, names) = strings(symbols, b"");
    let short = |out: &mut Vec<u8>, v: u16| out.extend(v.to_le_bytes());
    let word = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
    let long = |out: &mut Vec<u8>, v: u64| out.extend(v.to_le_bytes());
    // The first symbol is none.
    let mut table = vec![0; 24];
    for (symbol, name) in symbols.iter().zip(names) {
        word(&mut table, name);
        table.extend([0x12, 0]); // global, a function, visible
        short(&mut table, u16::from(symbol.defined)); // its section
        long(&mut table, 0x100);
        long(&mut table, 1);
    }
    let (table_at, sections) = (64, 3);
    let strings_at = table_at + table.len() as u64;
    let sections_at = strings_at + strings.len() as u64;
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for v in [3, 62] {
        short(&mut out, v); // shared, x86-64
    }
    word(&mut out, 1);
    for v in [0, 0, sections_at] {
        long(&mut out, v);
    }
    word(&mut out, 0);
    for v in [64, 56, 0, 64, sections, 2] {
        short(&mut out, v);
    }
    out.extend(&table);
    out.extend(&strings);
    out.extend([0; 64]);
    let kinds = [
        (11, table_at, table.len(), 2, 1, 24),
        (3, strings_at, strings.len(), 0, 0, 0),
    ];
    for (kind, at, size, link, info, entry) in kinds {
        word(&mut out, 0);
        word(&mut out, kind);
        for v in [2, 0, at, size as u64] {
            long(&mut out, v);
        }
        word(&mut out, link);
        word(&mut out, info);
        for v in [8, entry] {
            long(&mut out, v);
        }
    }
    out
}

/// A zip archive with these members.
pub fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, data) in members {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut writer, data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
