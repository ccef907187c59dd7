//! The file that tells the driver what to run: a line an item, fields separated by one space.

use std::fmt::Write;
use std::path::Path;

/// A job as it is written.
#[derive(Debug, Default)]
pub struct Job(String);

impl Job {
    /// Adds a line of plain words.
    pub fn line(&mut self, words: &[&str]) {
        self.0.push_str(&words.join(" "));
        self.0.push('\n');
    }

    /// Adds a line that ends with three numbers.
    pub fn triple(&mut self, word: &str, [x, y, z]: [u32; 3]) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{word} {x} {y} {z}");
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A text as one field: what could separate fields or lines is percent-encoded.
pub fn field(text: &str) -> String {
    let mut field = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            field.push(char::from(byte));
        } else {
            let _ = write!(field, "%{byte:02x}");
        }
    }
    field
}

/// A path as one field.
pub fn path(path: &Path) -> String {
    field(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_hold_no_separator() {
        assert_eq!(field("a b%\n"), "a%20b%25%0a");
        assert_eq!(field("affine_qmv"), "affine_qmv");
        assert_eq!(field("ä"), "%c3%a4");
    }

    #[test]
    fn a_job_is_one_item_a_line() {
        let mut job = Job::default();
        job.line(&["kernel", &field("a b")]);
        job.triple("groups", [1, 2, 3]);
        assert_eq!(job.text(), "kernel a%20b\ngroups 1 2 3\n");
    }
}
