//! Files that nobody should trust: each is an error or an answer, never a panic, never unbounded
//! memory or time. Whole files cut off anywhere and changed everywhere, the files that fuzzing
//! found (tests/corpus/probe, which fuzz/ starts from too), and bombs made on purpose.

mod bombs;
#[path = "../common/crafted.rs"]
mod crafted;
mod meter;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crafted::SYMBOLS;
use meter::read;
use mlx_fork::parity::random::Stream;

/// Whole files of each format, as small as they get.
fn whole() -> Vec<(&'static str, Vec<u8>)> {
    let elf = crafted::elf(&SYMBOLS);
    let macho = crafted::macho(6, &SYMBOLS);
    let codes = ["x", "scales", "y"].map(crafted::bitcode);
    let wrapped = crafted::wrapped(&crafted::abbreviated("w"));
    let kernels = [
        ("copy", &codes[0][..]),
        ("scale", &codes[1]),
        ("sum", &codes[2]),
        ("wrapped", &wrapped),
    ];
    let metallib = crafted::metallib(&kernels);
    let wheel = crafted::wheel(&[
        ("mlx/lib/libmlx.dylib", &macho),
        ("mlx/lib/mlx.metallib", &metallib),
        ("mlx/__init__.py", b""),
    ]);
    vec![
        ("elf", elf),
        ("fat", crafted::fat(&[&macho, &macho])),
        ("macho", macho),
        ("metallib", metallib),
        ("wheel", wheel),
    ]
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/probe")
}

#[test]
fn whole_files_say_all_that_is_in_them() {
    for (name, bytes) in whole() {
        let found = read(name, &bytes).result.unwrap();
        let kernels: Vec<&String> = found.iter().flat_map(|f| f.kernels.keys()).collect();
        let functions = found.iter().flat_map(|f| f.functions.keys());
        let functions: Vec<&String> = functions.collect();
        if matches!(name, "metallib" | "wheel") {
            assert_eq!(kernels, ["copy", "scale", "sum", "wrapped"], "{name}");
            let lines = found.last().unwrap().kernels["wrapped"].lines();
            assert_eq!(lines[0], "buffer 6: read_write float w", "{name}");
        }
        if name != "metallib" {
            assert_eq!(functions[0], crafted::FUNCTION, "{name}");
            assert!(!functions.iter().any(|f| f.as_str() == "elsewhere"));
        }
        assert_eq!(
            found.len(),
            if matches!(name, "fat" | "wheel") {
                2
            } else {
                1
            }
        );
    }
}

#[test]
fn a_file_cut_off_anywhere_says_no_more_than_the_whole() {
    for (name, bytes) in whole() {
        let named = |bytes: &[u8]| -> Option<Vec<String>> {
            let found = read(name, bytes).result.ok()?;
            let names = |f: &mlx_fork::probe::artifact::Artifact| {
                let all = f.kernels.keys().chain(f.functions.keys());
                all.cloned().collect::<Vec<String>>()
            };
            Some(found.iter().flat_map(names).collect())
        };
        let all = named(&bytes).unwrap();
        for length in 0..bytes.len() {
            if let Some(names) = named(&bytes[..length]) {
                let known = names.iter().all(|name| all.contains(name));
                assert!(known, "{name} cut to {length}: {names:?}");
                // What says its own length is whole or wrong.
                assert!(
                    !matches!(name, "metallib" | "wheel"),
                    "{name} cut to {length}"
                );
            }
        }
    }
}

#[test]
fn any_number_in_a_file_may_be_any_other() {
    for (name, bytes) in whole() {
        let length = bytes.len() as u64;
        let values = [
            0,
            1,
            0x7f,
            0xff,
            0x7fff_ffff,
            0xffff_fff0,
            length - 1,
            length + 1,
        ];
        let wide = [u64::MAX, u64::MAX - length, 1 << 63, 1 << 32];
        for at in 0..bytes.len() {
            let change = |new: &[u8]| {
                let mut other = bytes.clone();
                let end = (at + new.len()).min(other.len());
                other[at..end].copy_from_slice(&new[..end - at]);
                read(name, &other);
            };
            for value in values {
                let word = u32::try_from(value).unwrap();
                change(&word.to_le_bytes());
            }
            change(&0xffff_ffff_u32.to_be_bytes());
            change(&[bytes[at] ^ 0x80]);
            for value in wide {
                change(&value.to_le_bytes());
            }
        }
    }
}

/// Changed, moved, repeated, mixed: by seed, so the same on every machine.
#[test]
fn files_changed_at_random_are_errors_or_answers() {
    const ROUNDS: u64 = 30_000;
    let whole = whole();
    let mut answers = 0;
    for round in 0..ROUNDS {
        let random = Stream::new(round, &["hostile"]);
        let pick = |i: u64, n: usize| usize::try_from(random.below(i, n as u64)).unwrap();
        let (name, mut bytes) = whole[pick(0, whole.len())].clone();
        for step in 1..=1 + random.below(1, 5) {
            let i = step * 10;
            let (at, other) = (pick(i, bytes.len()), pick(i + 1, bytes.len()));
            let length = pick(i + 2, 64).min(bytes.len() - at.max(other));
            match random.below(i + 3, 6) {
                0 => bytes[at] = random.bits(i + 4) as u8,
                1 => bytes[at] ^= 1 << random.below(i + 4, 8),
                2 => bytes.copy_within(other..other + length, at),
                3 => bytes.truncate(at.max(1)),
                4 => {
                    let part = bytes[at..at + length].to_vec();
                    bytes.splice(other..other, part);
                }
                _ => {
                    let (_, from) = &whole[pick(i + 4, whole.len())];
                    let begin = pick(i + 5, from.len());
                    let end = (begin + length).min(from.len());
                    bytes.splice(at..at, from[begin..end].iter().copied());
                }
            }
        }
        answers += u64::from(read(name, &bytes).result.is_ok());
    }
    // Were nothing or everything refused, the changes would not reach what they should.
    assert!((ROUNDS / 50..ROUNDS / 2).contains(&answers), "{answers}");
}

/// Each is named after what was said of it when it was found.
#[test]
fn files_that_fuzzing_found_stay_errors_or_answers() {
    let mut said = BTreeSet::new();
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The second is as fuzz/fuzz_targets/bitcode.rs has it.
        let wrapped = crafted::metallib(&[("kernel", &bytes)]);
        for bytes in [&bytes, &wrapped] {
            said.extend(read(&name, bytes).result.err());
        }
    }
    // They reach most of what can be wrong with a file.
    assert!(said.len() > 80, "{} different errors", said.len());
}

/// Writes the whole files to the corpus, from which fuzzing starts.
#[test]
#[ignore = "changes the sources: run it after a change to tests/common/crafted.rs"]
fn write_the_corpus() {
    std::fs::create_dir_all(corpus()).unwrap();
    for (name, bytes) in whole() {
        std::fs::write(corpus().join(name), bytes).unwrap();
    }
}
