//! Patch files: reading them, and refusing what is no patch of ours.
//!
//! The grammar is the part of git's mail format that hooks need, and no more: text files
//! that are changed, made or deleted. Everything else has a line here that refuses it.
//! Where a patch fits is not decided here (`git::apply`).

use std::fmt;
use std::io::Read;
use std::path::Path;

use crate::error::{Doing, Error, Result, project_file, reading};
use crate::series::diff::Reader;
use crate::series::header::Header;

/// No hook needs more; a larger file is refused before it is read.
pub const LARGEST: u64 = 1 << 20;

/// A patch file.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Its name in patches/.
    pub name: String,
    /// Author, date and message.
    pub header: Header,
    /// The files that it changes, in its order.
    pub files: Vec<FilePatch>,
    /// Its bytes, as read.
    pub bytes: Vec<u8>,
}

/// What a patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// Path in MLX's tree.
    pub path: String,
    /// Changed, made or deleted.
    pub action: Action,
    /// Blob ids before and after, where the patch has an `index` line.
    pub index: Option<(String, String)>,
    /// The hunks, in the order of the file.
    pub hunks: Vec<Hunk>,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Lines of it change; its mode doesn't.
    Change,
    /// It is made, with the mode 100755 or 100644.
    Create {
        /// True for 100755.
        executable: bool,
    },
    /// It is deleted.
    Delete,
}

/// One hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// `@@ -1,4 +1,5 @@`, without the text behind it.
    pub header: String,
    /// The first line before the change, counted from 1 (0 where the file is made).
    pub old_start: usize,
    /// The first line after the change, counted from 1 (0 where the file is deleted).
    pub new_start: usize,
    /// The lines, each with its newline where it has one.
    pub lines: Vec<(Side, Vec<u8>)>,
}

/// Where a line of a hunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before and after.
    Both,
    /// Before only.
    Old,
    /// After only.
    New,
}

impl Hunk {
    /// The lines before the change.
    pub fn old(&self) -> Vec<&[u8]> {
        self.side(Side::New)
    }
    /// The lines after the change.
    pub fn new_lines(&self) -> Vec<&[u8]> {
        self.side(Side::Old)
    }
    fn side(&self, without: Side) -> Vec<&[u8]> {
        let kept = self.lines.iter().filter(|(side, _)| *side != without);
        kept.map(|(_, line)| line.as_slice()).collect()
    }
}

impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header)
    }
}

impl Patch {
    /// Reads `patches/NAME`; refused by its kind and size before a byte of it is read.
    pub fn read(folder: &Path, name: &str) -> Result<Self> {
        let file = folder.join(name);
        let meta = file.symlink_metadata().map_err(project_file(&file))?;
        let shown = || format!("reading the patch {name}");
        if !meta.is_file() {
            return Err(Error::usage("it is no regular file").doing(shown()));
        }
        refuse_size(meta.len()).doing(shown)?;
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(&file).doing(reading(&file))?;
        // It may grow while it is read.
        opened
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .doing(reading(&file))?;
        refuse_size(bytes.len() as u64).doing(shown)?;
        Self::parse(name, bytes).doing(shown)
    }

    /// Parses the bytes of a patch file.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<Self> {
        let text = text(&bytes)?;
        let head = text.find("\ndiff --git ").unwrap_or(text.len());
        if let Some(at) = text[..head].find('\r') {
            return Err(Error::usage(format!(
                "line {} ends in CR LF or has a CR",
                text[..at].matches('\n').count() + 1
            ))
            .hint("an editor or git's core.autocrlf changed the file: `git checkout` it with patches/*.patch set to -text"));
        }
        let cut = text
            .find("\n---\n")
            .ok_or_else(|| Error::usage("no line `---` after the message"))?;
        let header = Header::parse(&text[..=cut])?;
        let rest = &text[cut + "\n---\n".len()..];
        let start = match rest.find("\ndiff --git ") {
            Some(at) => at + 1,
            None if rest.starts_with("diff --git ") => 0,
            // A feature without hooks; its diffstat says so.
            None => rest.len(),
        };
        let first = text.len() - rest.len() + start;
        let files = Self::diffs(&rest[start..], text[..first].matches('\n').count() + 1)?;
        check_diffstat(&rest[..start], &files)?;
        Ok(Patch {
            name: name.into(),
            header,
            files,
            bytes,
        })
    }

    /// Parses the diffs of a patch file, which begin at its line `first`.
    pub fn diffs(text: &str, first: usize) -> Result<Vec<FilePatch>> {
        let mut reader = Reader::new(text, first);
        let mut files: Vec<FilePatch> = Vec::new();
        while !reader.done() {
            let file = reader.file()?;
            if files
                .iter()
                .any(|f| f.path.eq_ignore_ascii_case(&file.path))
            {
                return Err(Error::usage(format!("{} is in it twice", file.path)));
            }
            files.push(file);
        }
        Ok(files)
    }
}

/// Refuses a patch file of so many bytes.
///
/// # Errors
/// [`crate::Kind::Usage`] beyond [`LARGEST`].
pub fn refuse_size(bytes: u64) -> Result<()> {
    if bytes <= LARGEST {
        return Ok(());
    }
    Err(Error::usage(format!(
        "it has {bytes} bytes, and a hook has {LARGEST} at most"
    ))
    .hint("code belongs into the overlay (mlx_primitives/), not into a patch"))
}

/// The bytes as text, unless they show that the file was damaged on its way.
fn text(bytes: &[u8]) -> Result<&str> {
    if bytes.is_empty() {
        return Err(Error::usage("it is empty"));
    }
    let line_of = |at: usize| bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Err(Error::usage(format!(
            "line {} has a NUL byte: it is no text",
            line_of(at)
        )));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Error::usage(format!(
            "line {} isn't UTF-8: it is no text",
            line_of(e.valid_up_to())
        ))
    })?;
    if !text.ends_with('\n') {
        return Err(Error::usage(
            "it ends in the middle of a line: it is cut off",
        ));
    }
    Ok(text)
}

/// Without it, a patch that was cut off between two hunks would look whole.
fn check_diffstat(stat: &str, files: &[FilePatch]) -> Result<()> {
    let count = |side| -> usize {
        let hunks = files.iter().flat_map(|f| &f.hunks);
        hunks
            .flat_map(|h| &h.lines)
            .filter(|(s, _)| *s == side)
            .count()
    };
    let has = [files.len(), count(Side::New), count(Side::Old)];
    let summary = stat
        .lines()
        .rev()
        .find(|line| line.contains(" changed"))
        .ok_or_else(|| {
            Error::usage("no diffstat between `---` and the diff, so that a cut could go unseen")
                .hint("its last line reads ` 1 file changed, 2 insertions(+)`: `git diff --stat` prints it")
        })?;
    let mut says = [0; 3];
    for part in summary.split(',') {
        let slot = ["file", "insertion", "deletion"]
            .iter()
            .position(|word| part.contains(word));
        let number = part
            .split_ascii_whitespace()
            .next()
            .and_then(|n| n.parse().ok());
        match (slot, number) {
            (Some(slot), Some(number)) => says[slot] = number,
            _ => {
                return Err(Error::usage(format!(
                    "`{summary}` is no summary of a diffstat"
                )));
            }
        }
    }
    if says != has {
        return Err(Error::usage(format!(
            "its diffstat says {} files, {} insertions, {} deletions, and it has {}, {} and {}: it is cut off, or was edited by hand",
            says[0], says[1], says[2], has[0], has[1], has[2]
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
