//! As much of C++ as it takes to find a declaration, a definition or a statement in a file,
//! and where it ends. Not a parser: text that is formatted as clang-format leaves it.

use std::ops::Range;

use crate::error::{Error, Result};

/// What a byte of a source belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
    Directive,
}

/// A source with what each of its bytes is.
struct Source<'a> {
    text: &'a [u8],
    kinds: Vec<Kind>,
}

impl<'a> Source<'a> {
    fn read(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut kinds = Vec::with_capacity(bytes.len());
        let mut line_begins = true;
        while kinds.len() < bytes.len() {
            let at = kinds.len();
            let rest = &text[at..];
            let (kind, length) = match bytes[at] {
                b'/' if rest.starts_with("//") => (Kind::Comment, line(rest)),
                b'/' if rest.starts_with("/*") => {
                    (Kind::Comment, rest.find("*/").map_or(rest.len(), |e| e + 2))
                }
                b'#' if line_begins => (Kind::Directive, directive(rest)),
                b'R' if rest.starts_with("R\"") && !word_before(bytes, at) => {
                    (Kind::Literal, raw_string(rest))
                }
                // A quote inside of a number (1'000) is no character.
                b'\'' if word_before(bytes, at) => (Kind::Code, 1),
                quote @ (b'"' | b'\'') => (Kind::Literal, quoted(rest, quote)),
                _ => (Kind::Code, rest.chars().next().map_or(1, char::len_utf8)),
            };
            kinds.resize(at + length, kind);
            line_begins = match bytes[at + length - 1] {
                b'\n' => true,
                byte => line_begins && kind == Kind::Code && byte.is_ascii_whitespace(),
            };
        }
        Source { text: bytes, kinds }
    }

    /// The next byte of code that is no space, from `at` on.
    fn next(&self, at: usize) -> Option<(usize, u8)> {
        (at..self.text.len())
            .map(|at| (at, self.text[at]))
            .find(|(at, byte)| self.kinds[*at] == Kind::Code && !byte.is_ascii_whitespace())
    }

    /// Where the item ends that begins at `start`: behind its `;` or its last brace.
    fn end(&self, start: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = start;
        loop {
            let (found, byte) = self.next(at)?;
            at = found + 1;
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' => depth = depth.checked_sub(1)?,
                b';' if depth == 0 => return Some(at),
                b'}' => {
                    depth = depth.checked_sub(1)?;
                    match (depth, self.next(at).map(|(_, byte)| byte)) {
                        // An initializer among others, or a body that is to come.
                        (0, Some(b',' | b'{' | b';' | b')')) => {}
                        (0, _) => return Some(at),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// Where the line of `at` begins.
    fn line_start(&self, at: usize) -> usize {
        let before = &self.text[..at];
        before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |n| n + 1)
    }

    /// `at` moved up over the comment that stands right above its line.
    fn with_comment(&self, at: usize) -> usize {
        let mut start = self.line_start(at);
        while start > 0 {
            let above = self.line_start(start - 1);
            let line = &self.text[above..start - 1];
            let first = line.iter().position(|b| !b.is_ascii_whitespace());
            match first {
                Some(first) if self.kinds[above + first] == Kind::Comment => start = above,
                _ => break,
            }
        }
        start
    }

    /// `end` moved behind the newline that follows, if nothing else does.
    fn to_line_end(&self, end: usize) -> usize {
        match self.text[end..].iter().position(|b| *b == b'\n') {
            Some(n) if self.text[end..end + n].iter().all(u8::is_ascii_whitespace) => end + n + 1,
            Some(_) => end,
            None => self.text.len(),
        }
    }
}

fn word_before(text: &[u8], at: usize) -> bool {
    at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_')
}

fn line(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

fn directive(rest: &str) -> usize {
    let mut length = 0;
    for line in rest.split_inclusive('\n') {
        length += line.len();
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    length
}

fn raw_string(rest: &str) -> usize {
    let Some(open) = rest.find('(') else {
        return rest.len();
    };
    let close = format!("){}\"", &rest[2..open]);
    rest.find(&close).map_or(rest.len(), |at| at + close.len())
}

fn quoted(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            b'\n' => return at,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Where the one item stands that begins with `begins` (spaces and newlines don't count),
/// with the comment right above it and the newline behind it.
///
/// # Errors
/// [`crate::Kind::Usage`] where there is none, or more than one.
pub fn item(text: &str, begins: &str) -> Result<Range<usize>> {
    let source = Source::read(text);
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let first = at + line.len() - line.trim_start().len();
        at += line.len();
        if first < at && source.kinds[first] != Kind::Comment && starts_with(&text[first..], begins)
        {
            found.push(first);
        }
    }
    match found[..] {
        [start] => {
            let end = source
                .end(start)
                .ok_or_else(|| Error::usage(format!("what begins with `{begins}` has no end")))?;
            Ok(source.with_comment(start)..source.to_line_end(end))
        }
        [] => Err(Error::usage(format!("nothing begins with `{begins}`"))),
        _ => Err(Error::usage(format!(
            "{} places begin with `{begins}`",
            found.len()
        ))),
    }
}

/// True where `text` begins with the visible characters of `begins`.
fn starts_with(text: &str, begins: &str) -> bool {
    let mut text = text.chars().filter(|c| !c.is_whitespace());
    let mut wanted = begins.chars().filter(|c| !c.is_whitespace());
    wanted.all(|c| text.next() == Some(c))
}

/// The text without the statements that use one of these names, nor the comments above them.
pub fn without_statements(text: &str, names: &[String]) -> Result<String> {
    let mut text = text.to_string();
    'again: loop {
        let source = Source::read(&text);
        for name in names {
            let uses = text.match_indices(name.as_str());
            let code = uses
                .map(|(at, _)| at)
                .find(|at| source.kinds[*at] == Kind::Code);
            if let Some(at) = code {
                let range = statement(&source, at).ok_or_else(|| {
                    Error::usage(format!("the statement that uses `{name}` has no bounds"))
                })?;
                text.replace_range(range, "");
                continue 'again;
            }
        }
        return Ok(text);
    }
}

/// The statement around `at`.
fn statement(source: &Source<'_>, at: usize) -> Option<Range<usize>> {
    let mut depth = 0usize;
    let mut start = 0;
    for before in (0..at).rev().filter(|at| source.kinds[*at] == Kind::Code) {
        match source.text[before] {
            b')' | b']' => depth += 1,
            b'(' | b'[' => depth = depth.saturating_sub(1),
            b';' | b'{' | b'}' if depth == 0 => {
                start = before + 1;
                break;
            }
            _ => {}
        }
    }
    let (start, _) = source.next(start)?;
    let end = source.end(start)?;
    Some(source.with_comment(start)..source.to_line_end(end))
}

/// The text as the preprocessor leaves it where none of these macros is defined: their
/// `#ifdef` and `#ifndef` are resolved, all other lines stay.
pub fn without_macros(text: &str, macros: &[String]) -> Result<String> {
    let mut out = String::new();
    // For each open conditional: whether it is one of ours, and whether its lines stay.
    let mut open: Vec<(bool, bool)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let mut words = line
            .trim()
            .strip_prefix('#')
            .unwrap_or("")
            .split_whitespace();
        let (word, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let of_ours = macros.iter().any(|m| m == name);
        let mut ours = false;
        match word {
            "ifdef" | "ifndef" if of_ours => {
                open.push((true, word == "ifndef"));
                ours = true;
            }
            "if" | "ifdef" | "ifndef" => open.push((false, true)),
            "else" => {
                if let Some((true, keep)) = open.last_mut() {
                    *keep = !*keep;
                    ours = true;
                }
            }
            "endif" => {
                let closed = open
                    .pop()
                    .ok_or_else(|| Error::usage("an `#endif` closes nothing"))?;
                ours = closed.0;
            }
            _ => {}
        }
        if !ours && open.iter().all(|(_, keep)| *keep) {
            out.push_str(line);
        }
    }
    match open.is_empty() {
        true => Ok(out),
        false => Err(Error::usage("an `#if` isn't closed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r##"#include "a.h"
#define OPEN() \
  f({

namespace {
const char* name = "it; isn't {";

/** A block
 *  comment; }. */
API int add(
    int a, // first (
    int b = {});

struct S {
  int n = 1'000;
};
} // namespace

S::S(int n)
    : a{n, 1},
      b{n} {
  run([&]() { return n; });
  // What ran; last.
  note(
      "path",
      n ? fused::Path::fast : fused::Path::slow);
  m.def(
      "add",
      R"doc(
        a ( b }
      )doc");
}

int last() {
  return 1;
}
"##;

    fn found(begins: &str) -> &'static str {
        &TEXT[item(TEXT, begins).unwrap()]
    }

    #[test]
    fn an_item_reaches_from_its_comment_to_its_end() {
        let add = "/** A block\n *  comment; }. */\nAPI int add(\n    int a, // first (\n    int b = {});\n";
        assert_eq!(found("API int add("), add);
        assert_eq!(found("struct S {"), "struct S {\n  int n = 1'000;\n};\n");
        assert_eq!(
            found("const char* name"),
            "const char* name = \"it; isn't {\";\n"
        );
        assert!(found("S::S(int n)").ends_with("      )doc\");\n}\n"));
        assert!(found("m.def(\"add\",").ends_with(")doc\");\n"));
        assert_eq!(found("int last() {"), "int last() {\n  return 1;\n}\n");
    }

    #[test]
    fn an_item_that_is_not_there_or_there_twice_is_an_error() {
        let none = item(TEXT, "int first(").unwrap_err();
        assert!(none.what().contains("nothing begins with"), "{none}");
        let two = item("f();\nf();\n", "f(").unwrap_err();
        assert!(two.what().contains("2 places"), "{two}");
    }

    #[test]
    fn a_statement_goes_with_its_comment_and_the_others_stay() {
        let names = ["fused::Path".to_string()];
        let text = without_statements(TEXT, &names).unwrap();
        let left = "  run([&]() { return n; });\n  m.def(\n";
        assert!(text.contains(left), "{text}");
        assert!(!text.contains("note("), "{text}");
    }

    #[test]
    fn a_macro_that_is_never_defined_takes_its_lines_away() {
        let text = "#ifdef A\na\n#ifdef B\nab\n#endif\n#else\nnone\n#endif\n#ifndef A\nnot\n#endif\n#if C\nc\n#endif\n";
        let left = without_macros(text, &["A".into()]).unwrap();
        assert_eq!(left, "none\nnot\n#if C\nc\n#endif\n");
        assert!(without_macros("#ifdef A\n", &["A".into()]).is_err());
    }
}
