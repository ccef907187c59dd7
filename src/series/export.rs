//! Writes patch files: the same bytes for the same change on every machine.

use crate::error::{Error, Result};
use crate::series::header::Header;
use crate::series::patch::{FilePatch, Patch, Side};

/// Columns of a diffstat, as git has it where there is no terminal.
const COLUMNS: usize = 80;

/// The patch file `name` with this head and these diffs, in the order of their paths.
/// `diffs` are texts such as [`crate::git::diff::unified`] makes.
///
/// # Errors
/// [`crate::Kind::Usage`] for what a patch file of a series can't hold.
pub fn patch(name: &str, header: &Header, diffs: &[Vec<u8>]) -> Result<Patch> {
    let diff = diffs.concat();
    let text = std::str::from_utf8(&diff)
        .map_err(|_| Error::usage(format!("{name} would have lines that aren't UTF-8")))?;
    let files = Patch::diffs(text, 1)?;
    let gap = if files.is_empty() { "" } else { "\n" };
    let bytes = format!("{header}---\n{}{gap}{text}", diffstat(&files));
    let patch = Patch::parse(name, bytes.into_bytes())?;
    // A message may hold lines that end a message.
    if patch.header != *header || patch.files != files {
        return Err(Error::usage(format!(
            "the message of {name} has a line that a patch file can't hold, such as `---`"
        )));
    }
    Ok(patch)
}

/// How many lines of a file a patch adds, and how many it takes away.
pub fn counts(file: &FilePatch) -> (usize, usize) {
    let lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
    lines.fold((0, 0), |(added, gone), (side, _)| match side {
        Side::Both => (added, gone),
        Side::New => (added + 1, gone),
        Side::Old => (added, gone + 1),
    })
}

fn diffstat(files: &[FilePatch]) -> String {
    let rows: Vec<(&str, usize, usize)> = files
        .iter()
        .map(|file| {
            let (added, gone) = counts(file);
            (file.path.as_str(), added, gone)
        })
        .collect();
    let names = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let most = rows.iter().map(|row| row.1 + row.2).max().unwrap_or(0);
    let digits = most.to_string().len();
    // A file with changes shows at least one sign of each kind.
    let room = COLUMNS.saturating_sub(names + digits + 6).max(6);
    let scaled = |count: usize| match count {
        0 => 0,
        count if most <= room => count,
        count => 1 + count * (room - 1) / most,
    };
    let mut text = String::new();
    for (name, added, gone) in &rows {
        text.push_str(&format!(
            " {name:names$} | {:digits$} {}{}\n",
            added + gone,
            "+".repeat(scaled(*added)),
            "-".repeat(scaled(*gone)),
        ));
    }
    let (added, gone) = rows
        .iter()
        .fold((0, 0), |(a, g), row| (a + row.1, g + row.2));
    let many = |count: usize| if count == 1 { "" } else { "s" };
    text.push_str(&format!(" {} file{} changed", rows.len(), many(rows.len())));
    if added > 0 {
        text.push_str(&format!(", {added} insertion{}(+)", many(added)));
    }
    if gone > 0 {
        text.push_str(&format!(", {gone} deletion{}(-)", many(gone)));
    }
    text.push('\n');
    text
}
