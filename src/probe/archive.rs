//! Wheels, which are zip archives: the libraries in one, unpacked one after another into memory.
//! Nothing is written, so a member's path leads nowhere, be it absolute or full of dots.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use super::names::printable;

/// A member that is a library, by how its name ends.
const WANTED: [&[u8]; 3] = [b".so", b".dylib", b".metallib"];
/// The directory of MLX's wheels has 60 KB, that of the largest wheels one MB.
const LARGEST_DIRECTORY: u64 = 8 << 20;
/// How much larger the libraries of an archive may be than the archive: those of MLX are four
/// times as large as they are packed; a bomb has a factor of a thousand.
const MOST_UNPACKED: u64 = 16;
/// What any archive may unpack to, however small.
const ALWAYS_UNPACKED: u64 = 16 << 20;
/// And no archive more than this.
const NEVER_UNPACKED: u64 = 2 << 30;

/// True for bytes that begin as a zip archive does.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Gives `each` library of the archive: its name, as it can be printed, and its bytes.
pub fn libraries(
    bytes: &[u8],
    mut each: impl FnMut(&str, &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let damaged = |e: ZipError| format!("the wheel is damaged: {e}");
    if has_long_directory(bytes) {
        return Err("it has more members than any wheel".into());
    }
    let allowed = Cell::new(LARGEST_DIRECTORY);
    let metered = Metered {
        inner: Cursor::new(bytes),
        allowed: &allowed,
    };
    // A wheel begins with its first member; what was put before one would else be searched for.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let mut archive = ZipArchive::with_config(config, metered).map_err(damaged)?;
    allowed.set(u64::MAX);
    let most = (bytes.len() as u64)
        .saturating_mul(MOST_UNPACKED)
        .clamp(ALWAYS_UNPACKED, NEVER_UNPACKED);
    let mut left = most;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(damaged)?;
        let name = entry.name_raw();
        if !entry.is_file() || !WANTED.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let name = printable(name);
        let inside = |e: &dyn Display| format!("the wheel is damaged: {name}: {e}");
        let member = archive.by_index(index).map_err(|e| inside(&e))?;
        let mut data = Vec::new();
        // Its size as the archive says it may be a lie, so no more than is allowed is made ready.
        let size = member.size().min(left + 1);
        data.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))
            .map_err(|e| inside(&e))?;
        let read = member.take(left + 1).read_to_end(&mut data);
        let read = read.map_err(|e| inside(&e))? as u64;
        left = left.checked_sub(read).ok_or_else(|| {
            format!(
                "it has {} bytes and unpacks to more than {most}",
                bytes.len()
            )
        })?;
        each(&name, &data)?;
    }
    Ok(())
}

/// True where the end of the archive says, in one of the places where it may, that its directory
/// is of the long form, for more than 65,534 members or 4 GiB. Room for as many as such a
/// directory claims would be made before the first is read.
fn has_long_directory(bytes: &[u8]) -> bool {
    const END: usize = 22;
    const LONGEST_COMMENT: usize = 0xffff;
    let tail = &bytes[bytes.len().saturating_sub(END + LONGEST_COMMENT + 4)..];
    let mut ends = tail
        .windows(END)
        .filter(|end| end.starts_with(b"PK\x05\x06"));
    ends.any(|end| {
        let all = |range: Range<usize>| end[range].iter().all(|byte| *byte == 0xff);
        all(10..12) || all(12..16) || all(16..20)
    })
}

/// A reader that fails when more was read than is allowed at the time.
struct Metered<'a> {
    inner: Cursor<&'a [u8]>,
    allowed: &'a Cell<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let left = self.allowed.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| io::Error::other("its directory is too large"))?;
        self.allowed.set(left);
        Ok(read)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::probe::crafted::wheel as archive;

    fn names(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        libraries(bytes, |name, data| {
            all.push(format!("{name} {}", data.len()));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn only_libraries_are_unpacked_and_their_paths_lead_nowhere() {
        let bytes = archive(&[
            ("mlx/lib/libmlx.so", b"one"),
            ("mlx/lib/libmlx.so.txt", b"two"),
            ("/etc/a.dylib", b"three"),
            ("../../a\u{1b}[2J.metallib", b"four"),
        ]);
        let found = names(&bytes).unwrap();
        let ours = [
            "mlx/lib/libmlx.so 3",
            "/etc/a.dylib 5",
            "../../a\\u{1b}[2J.metallib 4",
        ];
        assert_eq!(found, ours);
    }

    #[test]
    fn a_link_in_an_archive_is_no_library() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        writer
            .add_symlink("mlx/lib/libmlx.so", "/dev/zero", options)
            .unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(names(&bytes).unwrap(), [""; 0]);
    }

    #[test]
    fn a_bomb_is_refused_before_it_has_unfolded() {
        let zeros = vec![0; 40 << 20];
        let bytes = archive(&[("mlx/a.so", &zeros)]);
        assert!(bytes.len() < 100_000);
        let said = names(&bytes).unwrap_err();
        assert!(said.contains("unpacks to more than 16777216"), "{said}");
    }

    #[test]
    fn a_directory_that_claims_more_than_a_wheel_has_is_refused() {
        let mut bytes = archive(&[("a.so", b"x")]);
        let end = bytes.len() - 22;
        bytes[end + 8..end + 12].fill(0xff);
        let said = names(&bytes).unwrap_err();
        assert!(said.contains("more members"), "{said}");
        // Too large rather than too many: a comment of 60 KB each.
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for i in 0..200 {
            let comment = "c".repeat(60_000).into_boxed_str();
            let options = SimpleFileOptions::default();
            let options = options.into_full_options().with_file_comment(comment);
            writer.start_file(format!("{i}.txt"), options).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        let said = names(&bytes).unwrap_err();
        assert!(said.contains("directory is too large"), "{said}");
    }
}
