//! A preprocessed .metal text as tokens, each with the file and the line that it came from,
//! and with its brackets matched. Not what the tokens mean: that is `translate`'s.

use std::path::Path;

use crate::error::{Error, Result};
use crate::mutants::lexer::{self, Kind as Lexed};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword.
    Word,
    /// A number, its suffix included.
    Number,
    /// A string or a character.
    Text,
    /// An operator or a bracket. `>` is always alone, so that `>>` closes two lists.
    Sign,
    /// A whole `#pragma` line.
    Pragma,
}

/// A token and where it came from.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte in the text.
    pub start: usize,
    /// The byte after its last one.
    pub end: usize,
    file: usize,
    /// The line in its file, from 1.
    pub line: usize,
}

/// A preprocessed text and its tokens.
#[derive(Debug)]
pub struct Source {
    /// The text, line markers and all.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<Token>,
    files: Vec<String>,
    partners: Vec<usize>,
}

/// How deep brackets may be nested: as with clang.
const DEEPEST: usize = 256;

/// No bracket.
const NONE: usize = usize::MAX;

impl Source {
    /// Splits what `clang++ -E` wrote for the file `name`.
    ///
    /// # Errors
    /// A bracket that nothing closes or opens, with its file and line.
    pub fn new(text: String, name: &str) -> Result<Self> {
        let mut source = Source {
            tokens: Vec::new(),
            files: vec![name.to_string()],
            partners: Vec::new(),
            text,
        };
        let (mut file, mut line, mut at) = (0, 1, 0);
        let mut fresh = true;
        while let Some(c) = source.text[at..].chars().next() {
            let rest = &source.text[at..];
            if c == '\n' {
                (line, at, fresh) = (line + 1, at + 1, true);
                continue;
            }
            if c.is_whitespace() {
                at += c.len_utf8();
                continue;
            }
            if c == '#' && fresh {
                let length = rest.find('\n').unwrap_or(rest.len());
                let text = &rest[..length];
                if let Some((number, path)) = marker(text) {
                    // The newline that ends the marker counts one.
                    line = number.saturating_sub(1);
                    let known = source.files.iter().position(|known| *known == path);
                    file = known.unwrap_or_else(|| {
                        source.files.push(path);
                        source.files.len() - 1
                    });
                } else {
                    source
                        .tokens
                        .push(token(Kind::Pragma, at, length, file, line));
                }
                at += length;
                continue;
            }
            fresh = false;
            let (lexed, length) = lexer::token(rest, c);
            let (kind, length) = match lexed {
                Lexed::Word => (Kind::Word, length),
                Lexed::Number => (Kind::Number, length),
                Lexed::Text => (Kind::Text, length),
                Lexed::Sign if c == '>' => (Kind::Sign, 1),
                Lexed::Sign => (Kind::Sign, length),
            };
            source.tokens.push(token(kind, at, length, file, line));
            line += rest[..length].matches('\n').count();
            at += length;
        }
        source.match_brackets()?;
        Ok(source)
    }

    fn match_brackets(&mut self) -> Result<()> {
        let mut partners = vec![NONE; self.tokens.len()];
        let mut open: Vec<usize> = Vec::new();
        for i in 0..self.tokens.len() {
            let word = self.word(i);
            match word {
                "(" | "[" | "{" if open.len() == DEEPEST => {
                    let what = format!("brackets are nested more than {DEEPEST} deep");
                    return Err(self.fault(i, what));
                }
                "(" | "[" | "{" => open.push(i),
                ")" | "]" | "}" => {
                    let Some(o) = open.pop() else {
                        return Err(self.fault(i, format!("nothing opens this '{word}'")));
                    };
                    let wanted = match self.word(o) {
                        "(" => ")",
                        "[" => "]",
                        _ => "}",
                    };
                    if word != wanted {
                        let opened = self.word(o);
                        return Err(self.fault(
                            i,
                            format!(
                                "'{word}' can't close the '{opened}' of line {}",
                                self.tokens[o].line
                            ),
                        ));
                    }
                    (partners[o], partners[i]) = (i, o);
                }
                _ => {}
            }
        }
        if let Some(o) = open.pop() {
            return Err(self.fault(o, format!("nothing closes this '{}'", self.word(o))));
        }
        self.partners = partners;
        Ok(())
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The text of a token; empty beyond the last one.
    pub fn word(&self, i: usize) -> &str {
        let token = self.tokens.get(i);
        token.map_or("", |t| &self.text[t.start..t.end])
    }

    /// True for an identifier or a keyword.
    pub fn is_word(&self, i: usize) -> bool {
        self.tokens.get(i).is_some_and(|t| t.kind == Kind::Word)
    }

    /// The bracket `( [ {` or `) ] }` that belongs to the one at `i`.
    pub fn partner(&self, i: usize) -> usize {
        debug_assert_ne!(self.partners[i], NONE, "no bracket");
        self.partners[i]
    }

    /// `FILE:LINE` of a token.
    pub fn place(&self, i: usize) -> String {
        match self.tokens.get(i.min(self.len().saturating_sub(1))) {
            Some(token) => format!("{}:{}", self.files[token.file], token.line),
            None => self.files[0].clone(),
        }
    }

    /// The file of a token.
    pub fn file(&self, i: usize) -> &Path {
        Path::new(&self.files[self.tokens[i].file])
    }

    /// An error for what Apple's compiler would reject too.
    pub fn fault(&self, i: usize, what: impl std::fmt::Display) -> Error {
        Error::gate(format!("{}: {what}", self.place(i)))
    }

    /// An error for Metal that the emulator has not.
    pub fn unhandled(&self, i: usize, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}: {what}", self.place(i)))
    }

    /// The `>` that closes the template list opened by the `<` at `i`, before `end`; `None`
    /// where the `<` compares.
    pub fn close_angle(&self, i: usize, end: usize) -> Option<usize> {
        // A name and a `<` inside a list open another list, or else they compare.
        self.angle(i, end, true)
            .or_else(|| self.angle(i, end, false))
    }

    fn angle(&self, i: usize, end: usize, nests: bool) -> Option<usize> {
        let mut depth = 1usize;
        let mut k = i + 1;
        while k < end {
            match self.word(k) {
                "(" | "[" => k = self.partner(k),
                "{" if self.is_word(k - 1) || self.word(k - 1) == ">" => k = self.partner(k),
                ")" | "]" | "}" | "{" | ";" => return None,
                "<" if nests && self.is_word(k - 1) => depth += 1,
                ">" => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(k);
                    }
                }
                _ => {}
            }
            k += 1;
        }
        None
    }

    /// The first token at or after `i` and before `end` that is `wanted`, outside of brackets.
    pub fn find(&self, mut i: usize, end: usize, wanted: &str) -> Option<usize> {
        while i < end {
            match self.word(i) {
                word if word == wanted => return Some(i),
                "(" | "[" | "{" => i = self.partner(i),
                _ => {}
            }
            i += 1;
        }
        None
    }

    /// The ranges between the commas of a list, outside of brackets and template lists. An
    /// empty list has none.
    pub fn split(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        let (mut first, mut i) = (from, from);
        while i < to {
            match self.word(i) {
                "(" | "[" | "{" => i = self.partner(i),
                "<" if i > from && self.is_word(i - 1) => {
                    i = self.close_angle(i, to).unwrap_or(i);
                }
                "," => {
                    parts.push((first, i));
                    first = i + 1;
                }
                _ => {}
            }
            i += 1;
        }
        if first < to {
            parts.push((first, to));
        }
        parts
    }

    /// The tokens of a range with single spaces, for messages and keys.
    pub fn spaced(&self, from: usize, to: usize) -> String {
        let words: Vec<&str> = (from..to).map(|i| self.word(i)).collect();
        words.join(" ")
    }
}

fn token(kind: Kind, start: usize, length: usize, file: usize, line: usize) -> Token {
    Token {
        kind,
        start,
        end: start + length,
        file,
        line,
    }
}

/// The line and the file of a line marker: `# 12 "a.metal" 2`.
fn marker(line: &str) -> Option<(usize, String)> {
    let rest = line.strip_prefix('#')?;
    let rest = rest.strip_prefix("line").unwrap_or(rest).trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let number = rest[..digits].parse().ok()?;
    let quoted = rest[digits..].trim_start().strip_prefix('"')?;
    let mut path = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '"' => return Some((number, path)),
            '\\' => path.push(letters.next()?),
            letter => path.push(letter),
        }
    }
}

/// The value of a string literal, adjacent ones joined by the caller; `None` for others.
pub fn string_value(literal: &str) -> Option<String> {
    let body = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut value = String::new();
    let mut letters = body.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?),
            letter => value.push(letter),
        }
    }
    Some(value)
}

/// The value of an integer literal, decimal, octal, hexadecimal or binary.
pub fn integer_value(literal: &str) -> Option<u64> {
    let text = literal.replace('\'', "").to_ascii_lowercase();
    let text = text.trim_end_matches(['u', 'l']);
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    if let Some(binary) = text.strip_prefix("0b") {
        return u64::from_str_radix(binary, 2).ok();
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(text.into(), "first.metal").unwrap()
    }

    fn words(source: &Source) -> Vec<&str> {
        (0..source.len()).map(|i| source.word(i)).collect()
    }

    #[test]
    fn tokens_know_the_file_and_line_of_the_marker_above_them() {
        let text = "a\n# 40 \"x \\\"y\\\".h\" 1 3\nb c\n\nd\n# 3 \"first.metal\" 2\ne R\"(\n)\" f";
        let source = source(text);
        let places: Vec<String> = (0..source.len()).map(|i| source.place(i)).collect();
        let expected = [
            "first.metal:1",
            "x \"y\".h:40",
            "x \"y\".h:40",
            "x \"y\".h:42",
            "first.metal:3",
            "first.metal:3",
            "first.metal:4",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn a_pragma_is_one_token_and_closers_are_single() {
        let source = source("#pragma METAL fp contract(off)\na<b<c>>= 1.0h >> 0x1p-3f;");
        let expected = [
            "#pragma METAL fp contract(off)",
            "a",
            "<",
            "b",
            "<",
            "c",
            ">",
            ">",
            "=",
            "1.0h",
            ">",
            ">",
            "0x1p-3f",
            ";",
        ];
        assert_eq!(words(&source), expected);
        assert_eq!(source.close_angle(2, source.len()), Some(7));
    }

    #[test]
    fn a_comparison_is_no_template_list() {
        let s = source("a < b; f<(1 > 2), x<y>>(c < d, e > g)");
        assert_eq!(s.close_angle(1, s.len()), None);
        assert_eq!(s.word(s.close_angle(5, s.len()).unwrap() + 1), "(");
        assert_eq!(s.split(6, 17).len(), 2);
    }

    #[test]
    fn unmatched_brackets_are_named_with_their_place() {
        for (text, what) in [
            (
                "\n{ ( }",
                "first.metal:2: '}' can't close the '(' of line 2",
            ),
            ("a )", "first.metal:1: nothing opens this ')'"),
            ("\n\n{ a", "first.metal:3: nothing closes this '{'"),
        ] {
            let error = Source::new(text.into(), "first.metal").unwrap_err();
            assert_eq!(error.what(), what);
        }
    }

    #[test]
    fn brackets_are_nested_so_deep_and_no_deeper() {
        let nested = |depth: usize| {
            let text = format!("\n{}{}", "{".repeat(depth), "}".repeat(depth));
            Source::new(text, "first.metal")
        };
        assert!(nested(256).is_ok());
        let error = nested(257).unwrap_err();
        let what = "first.metal:2: brackets are nested more than 256 deep";
        assert_eq!(error.what(), what);
    }

    #[test]
    fn literals_have_their_values() {
        let integers = ["30", "01", "0x1Fu", "0b101", "1'000ul", "0", "1.5"];
        let values = integers.map(integer_value);
        let expected = [
            Some(30),
            Some(1),
            Some(31),
            Some(5),
            Some(1000),
            Some(0),
            None,
        ];
        assert_eq!(values, expected);
        assert_eq!(string_value(r#""a\"b""#).unwrap(), "a\"b");
        assert_eq!(string_value("'a'"), None);
    }
}
