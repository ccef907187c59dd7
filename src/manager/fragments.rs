//! Takes long runs of added lines out of upstream's files: they become files of our own, and
//! what is left in upstream's file is one line that includes them.
//!
//! Only where the language takes a file at any line (C, C++, Metal, CMake) and the run is
//! balanced in itself; what it means stays the same.

use crate::error::Result;
use crate::git::diff;
use crate::git::draft::File;
use crate::series::patch::{FilePatch, Patch, Side};

/// Shorter runs stay in the patch.
const SHORTEST: usize = 8;

/// A run of lines that became a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Its path in MLX's tree.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Takes the runs that `after` adds to `before` out of it; names are made with `feature`.
///
/// # Errors
/// As [`diff::unified`].
pub fn take_out(
    path: &str,
    before: &File,
    after: &File,
    feature: &str,
) -> Result<(File, Vec<Fragment>)> {
    let unchanged = Ok((after.clone(), Vec::new()));
    let Some(language) = Language::of(path) else {
        return unchanged;
    };
    let text = diff::unified(path, Some(before), Some(after))?;
    let Some(change) = Patch::diffs(&String::from_utf8_lossy(&text), 1)?.pop() else {
        return unchanged;
    };
    let lines: Vec<&[u8]> = after.content.split_inclusive(|b| *b == b'\n').collect();
    let mut content = Vec::new();
    let mut fragments: Vec<Fragment> = Vec::new();
    let mut next = 0;
    for (start, end) in runs(&change) {
        let (start, end) = language.trimmed(&lines, start, end);
        if end < start + SHORTEST || !language.stands_alone(&lines, start, end) {
            continue;
        }
        content.extend(lines[next..start].concat());
        let name = language.name(path, feature, fragments.len() + 1);
        content.extend(language.include(&name).bytes());
        fragments.push(Fragment {
            path: name,
            content: lines[start..end].concat(),
        });
        next = end;
    }
    content.extend(lines[next..].concat());
    let executable = after.executable;
    Ok((
        File {
            content,
            executable,
        },
        fragments,
    ))
}

/// The runs of added lines, as ranges of lines of the file after the change, from 0.
fn runs(change: &FilePatch) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    for hunk in &change.hunks {
        let mut at = hunk.new_start - 1;
        let mut start = at;
        for (side, _) in &hunk.lines {
            match side {
                Side::New => at += 1,
                Side::Old => {}
                Side::Both => {
                    if at > start {
                        runs.push((start, at));
                    }
                    at += 1;
                    start = at;
                }
            }
        }
        if at > start {
            runs.push((start, at));
        }
    }
    runs
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    C,
    CMake,
}

impl Language {
    fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let end = name.rsplit('.').next().unwrap_or_default();
        match end {
            "cpp" | "h" | "metal" | "mm" | "c" | "hpp" | "cu" | "cuh" | "m" => Some(Language::C),
            "cmake" => Some(Language::CMake),
            _ if name == "CMakeLists.txt" => Some(Language::CMake),
            _ => None,
        }
    }

    fn name(self, path: &str, feature: &str, number: usize) -> String {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.split('.').next().unwrap_or(file);
        let end = if self == Language::C { "inc" } else { "cmake" };
        let gap = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{gap}{stem}_{feature}_{number}.{end}")
    }

    fn include(self, name: &str) -> String {
        match self {
            Language::C => format!("#include \"{name}\"\n"),
            Language::CMake => {
                let file = name.rsplit('/').next().unwrap_or(name);
                format!("include(${{CMAKE_CURRENT_LIST_DIR}}/{file})\n")
            }
        }
    }

    /// The run without blank lines at its ends, which stay where they are.
    fn trimmed(self, lines: &[&[u8]], mut start: usize, mut end: usize) -> (usize, usize) {
        let blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
        while start < end && blank(lines[start]) {
            start += 1;
        }
        while end > start && blank(lines[end - 1]) {
            end -= 1;
        }
        (start, end)
    }

    /// True where the run means the same in a file of its own.
    fn stands_alone(self, lines: &[&[u8]], start: usize, end: usize) -> bool {
        let goes_on = |line: &[u8]| line.trim_ascii_end().ends_with(b"\\");
        let inside = start
            .checked_sub(1)
            .is_some_and(|before| goes_on(lines[before]));
        if inside || goes_on(lines[end - 1]) || !lines[end - 1].ends_with(b"\n") {
            return false;
        }
        let before = lines[..start].concat();
        let run = lines[start..end].concat();
        match self {
            Language::C => {
                let mut at = Scan::default();
                at.read(&before);
                let outside = at.plain() && at.parentheses == 0;
                let depth = at.conditionals;
                at.lowest = depth;
                at.read(&run);
                // No directive may stand among a macro's arguments, and what is a macro can't
                // be told here.
                let outside = outside && at.plain() && at.parentheses == 0;
                outside && at.conditionals == depth && at.lowest == depth
            }
            Language::CMake => cmake_balanced(&before) && cmake_balanced(&run),
        }
    }
}

/// Where a C source is: in a comment or a text, and how deep in `#if` and in parentheses.
#[derive(Debug, Default)]
struct Scan {
    comment: bool,
    /// The end of the raw string that is open.
    raw: Option<Vec<u8>>,
    conditionals: i32,
    lowest: i32,
    parentheses: i32,
}

impl Scan {
    fn plain(&self) -> bool {
        !self.comment && self.raw.is_none()
    }

    fn read(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|b| *b == b'\n') {
            if self.plain() {
                let word = line.trim_ascii_start();
                if let Some(rest) = word.strip_prefix(b"#") {
                    let rest = rest.trim_ascii_start();
                    if rest.starts_with(b"if") {
                        self.conditionals += 1;
                    } else if rest.starts_with(b"endif") {
                        self.conditionals -= 1;
                        self.lowest = self.lowest.min(self.conditionals);
                    } else if rest.starts_with(b"el") {
                        // A branch of an `#if` that is open outside.
                        self.lowest = self.lowest.min(self.conditionals - 1);
                    }
                }
            }
            self.line(line);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let mut at = 0;
        while at < line.len() {
            let rest = &line[at..];
            if let Some(end) = &self.raw {
                match rest.starts_with(end) {
                    true => {
                        at += end.len();
                        self.raw = None;
                    }
                    false => at += 1,
                }
            } else if self.comment {
                match rest.starts_with(b"*/") {
                    true => {
                        at += 2;
                        self.comment = false;
                    }
                    false => at += 1,
                }
            } else if rest.starts_with(b"//") {
                return;
            } else if rest.starts_with(b"/*") {
                self.comment = true;
                at += 2;
            } else if rest.starts_with(b"R\"") {
                let delimiter = rest[2..].split(|b| *b == b'(').next().unwrap_or_default();
                self.raw = Some([b")", delimiter, b"\""].concat());
                at += 2 + delimiter.len();
            } else if matches!(rest[0], b'"' | b'\'') {
                at += text_length(rest);
            } else {
                self.parentheses += i32::from(rest[0] == b'(') - i32::from(rest[0] == b')');
                at += 1;
            }
        }
    }
}

/// How long the text or character is that begins here; a lone quote is a digit separator.
fn text_length(rest: &[u8]) -> usize {
    let quote = rest[0];
    let mut at = 1;
    while at < rest.len() && rest[at] != b'\n' {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    1
}

/// True where no parenthesis, text or block is open at the end.
fn cmake_balanced(text: &[u8]) -> bool {
    let (mut depth, mut blocks, mut lowest) = (0i32, 0i32, 0i32);
    let mut quoted = false;
    for line in text.split(|b| *b == b'\n') {
        let word: Vec<u8> = line
            .trim_ascii_start()
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
            .map(u8::to_ascii_lowercase)
            .collect();
        if depth == 0 && !quoted {
            match word.as_slice() {
                b"if" | b"foreach" | b"while" | b"function" | b"macro" | b"block" => blocks += 1,
                b"else" | b"elseif" => lowest = lowest.min(blocks - 1),
                _ if word.starts_with(b"end") => blocks -= 1,
                _ => {}
            }
            lowest = lowest.min(blocks);
        }
        let mut escaped = false;
        for b in line {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b'#' if !quoted => break,
                b'(' if !quoted => depth += 1,
                b')' if !quoted => depth -= 1,
                _ => {}
            }
        }
    }
    depth == 0 && !quoted && lowest >= 0 && blocks >= 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: String) -> File {
        File {
            content: content.into_bytes(),
            executable: false,
        }
    }

    fn numbered(what: &str, count: usize) -> String {
        (0..count).map(|n| format!("{what}{n};\n")).collect()
    }

    fn taken(path: &str, head: &str, run: &str, tail: &str) -> (String, Vec<Fragment>) {
        let before = file(format!("{head}{tail}"));
        let after = file(format!("{head}{run}{tail}"));
        let (left, fragments) = take_out(path, &before, &after, "fused").unwrap();
        (String::from_utf8(left.content).unwrap(), fragments)
    }

    #[test]
    fn a_long_run_becomes_a_file_and_a_line_that_includes_it() {
        let (head, run, tail) = (
            numbered("int a", 5),
            numbered("int b", 20),
            numbered("int c", 5),
        );
        let (left, fragments) = taken("mlx/ops.cpp", &head, &run, &tail);
        assert_eq!(
            left,
            format!("{head}#include \"mlx/ops_fused_1.inc\"\n{tail}")
        );
        assert_eq!(fragments.len(), 1);
        assert_eq!(fragments[0].path, "mlx/ops_fused_1.inc");
        assert_eq!(fragments[0].content, run.as_bytes());
        let (left, fragments) = taken("CMakeLists.txt", "a()\n", &"b()\n".repeat(9), "c()\n");
        assert_eq!(
            left,
            "a()\ninclude(${CMAKE_CURRENT_LIST_DIR}/CMakeLists_fused_1.cmake)\nc()\n"
        );
        assert_eq!(fragments[0].path, "CMakeLists_fused_1.cmake");
    }

    #[test]
    fn what_means_something_else_in_a_file_of_its_own_stays() {
        let run = numbered("int b", 20);
        for (head, tail, run) in [
            ("#define F \\\n", "x\n", run.clone()),
            ("/* a\n", "*/\n", run.clone()),
            ("auto s = R\"x(\n", ")x\";\n", run.clone()),
            ("#if A\n", "#endif\n", format!("{run}#else\n{run}")),
            ("a\n", "#endif\n", format!("#if B\n{run}")),
            ("instantiate(\n", ")\n", run.clone()),
            ("f();\n", ")\n", format!("instantiate(\n{run}")),
        ] {
            let (_, fragments) = taken("mlx/ops.cpp", head, &run, tail);
            assert_eq!(fragments, [], "{head}");
        }
        let (_, fragments) = taken("mlx/x.cmake", "set(a\n", &"b\n".repeat(9), ")\n");
        assert_eq!(fragments, []);
        let (_, fragments) = taken("a.py", "a\n", &run, "b\n");
        assert_eq!(fragments, []);
        let (_, fragments) = taken("a.cpp", "a\n", &numbered("b", 7), "c\n");
        assert_eq!(fragments, []);
    }

    #[test]
    fn quotes_and_separators_do_not_confuse_it() {
        let head = "int a = 1'000'000; // it's\nchar b = '\"'; const char* c = \"/*\";\n";
        let (_, fragments) = taken("a.h", head, &numbered("int b", 9), "d\n");
        assert_eq!(fragments.len(), 1);
    }
}
