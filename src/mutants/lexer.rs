//! C++ as tokens with their places in the text: comments, literals and preprocessor lines are
//! told from code. Not a parser: what tokens mean together is the operators' guess.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword.
    Word,
    /// A number.
    Number,
    /// A string or a character, prefix and suffix included.
    Text,
    /// An operator or a bracket, as long as the language takes it.
    Sign,
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last one.
    pub end: usize,
}

/// A source and its tokens.
#[derive(Debug)]
pub struct Source<'a> {
    /// The text.
    pub text: &'a str,
    /// Its tokens, without comments and preprocessor lines.
    pub tokens: Vec<Token>,
}

/// The operators of more than one character, the longest first.
const SIGNS: &[&str] = &[
    "<=>", "<<=", ">>=", "...", "->*", "::", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=",
    "&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", ".*",
];

impl<'a> Source<'a> {
    /// Splits a text into tokens. Whatever the text is, this ends: what can't be told is a
    /// sign of one character.
    pub fn new(text: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut at = 0;
        // True until the line has a token: only there a # begins a directive.
        let mut fresh = true;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if c == '\n' {
                fresh = true;
                at += 1;
            } else if c.is_whitespace() {
                at += c.len_utf8();
            } else if rest.starts_with("//") {
                at += logical_line(rest);
            } else if rest.starts_with("/*") {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else if c == '#' && fresh {
                at += directive(rest);
            } else {
                let (kind, length) = token(rest, c);
                tokens.push(Token {
                    kind,
                    start: at,
                    end: at + length,
                });
                fresh = false;
                at += length;
            }
        }
        Source { text, tokens }
    }

    /// The text of a token; empty beyond the last one.
    pub fn word(&self, i: usize) -> &'a str {
        self.tokens
            .get(i)
            .map_or("", |t| &self.text[t.start..t.end])
    }

    /// The kind of a token.
    pub fn kind(&self, i: usize) -> Option<Kind> {
        self.tokens.get(i).map(|t| t.kind)
    }

    /// The text from token `from` up to and without token `to`, without the space around it.
    pub fn between(&self, from: usize, to: usize) -> &'a str {
        if from >= to || to > self.tokens.len() {
            return "";
        }
        &self.text[self.tokens[from].start..self.tokens[to - 1].end]
    }

    /// True where white space is on both sides of a token.
    pub fn is_spaced(&self, i: usize) -> bool {
        let token = self.tokens[i];
        let space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        space(self.text[..token.start].chars().next_back())
            && space(self.text[token.end..].chars().next())
    }

    /// The bracket that closes the one at `open`.
    pub fn close(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for i in open..self.tokens.len() {
            match self.word(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(i);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The bracket that opens what the one at `close` closes.
    pub fn open(&self, close: usize) -> Option<usize> {
        let mut depth = 0usize;
        for i in (0..=close).rev() {
            match self.word(i) {
                ")" | "]" | "}" => depth += 1,
                "(" | "[" | "{" => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(i);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Line and column of a byte, both from 1.
    pub fn place(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..byte];
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |n| n + 1) + 1;
        (line, column)
    }
}

/// The length of a line that goes on where it ends with a backslash; without its end.
fn logical_line(rest: &str) -> usize {
    let mut at = 0;
    loop {
        let end = rest[at..].find('\n').map_or(rest.len(), |n| at + n);
        if end == rest.len() || !rest[..end].trim_end_matches('\r').ends_with('\\') {
            return end;
        }
        at = end + 1;
    }
}

/// As [`logical_line`], up to a comment, which may go on below.
fn directive(rest: &str) -> usize {
    let line = logical_line(rest);
    rest[..line].find("/*").unwrap_or(line)
}

/// The kind and the length of the token at the beginning of `rest`, whose first character is `c`:
/// neither white space nor a comment.
pub fn token(rest: &str, c: char) -> (Kind, usize) {
    if let Some(length) = literal(rest) {
        return (Kind::Text, length);
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let after_point = rest[c.len_utf8()..].chars().next();
    if c.is_ascii_digit() || (c == '.' && after_point.is_some_and(|c| c.is_ascii_digit())) {
        return (Kind::Number, number(rest));
    }
    if is_word(c) {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return (Kind::Word, end);
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    (Kind::Sign, sign.map_or(c.len_utf8(), |sign| sign.len()))
}

/// The length of a number: digits, letters, points, separators, and the sign of an exponent.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let sign = matches!(b, b'+' | b'-')
            && at > 0
            && match bytes[at - 1] {
                b'e' | b'E' => !hex,
                b'p' | b'P' => hex,
                _ => false,
            };
        let separator = b == b'\'' && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        if !(b.is_ascii_alphanumeric() || b == b'.' || b == b'_' || sign || separator) {
            break;
        }
        at += 1;
    }
    at
}

/// The length of a string or character literal at the beginning.
fn literal(rest: &str) -> Option<usize> {
    let prefixes = ["", "u8", "u", "U", "L"];
    let raw = prefixes
        .iter()
        .find_map(|p| rest.strip_prefix(p)?.strip_prefix("R\""));
    if let Some(body) = raw {
        let name = &body[..body.find('(')?];
        let end = format!("){name}\"");
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(rest.len() - body.len() + length);
    }
    for prefix in prefixes {
        let Some(body) = rest.strip_prefix(prefix) else {
            continue;
        };
        let Some(quote) = body.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            continue;
        };
        let mut escaped = false;
        for (at, c) in body.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => return Some(prefix.len() + at + 1),
                // Not a literal after all: an apostrophe where no code is.
                '\n' => return None,
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let source = Source::new(text);
        (0..source.tokens.len()).map(|i| source.word(i)).collect()
    }

    #[test]
    fn comments_and_directives_are_no_code() {
        let text =
            "a // b < c\n/* d + 1\n e */ f\n#define G(x) \\\n  x + 1\n  # if 1 /* h\n i */\nj";
        assert_eq!(words(text), ["a", "f", "j"]);
        assert_eq!(words("a // b \\\n c\nd"), ["a", "d"]);
    }

    #[test]
    fn literals_are_one_token_whatever_is_in_them() {
        let text = r#"f("a < \"b\" // c", '\'', u8"x", R"(1 + "2")", LR"e(a)" b)e");"#;
        let expected = [
            "f",
            "(",
            r#""a < \"b\" // c""#,
            ",",
            r"'\''",
            ",",
            r#"u8"x""#,
            ",",
            r#"R"(1 + "2")""#,
            ",",
            r#"LR"e(a)" b)e""#,
            ")",
            ";",
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn numbers_keep_their_separators_signs_and_suffixes() {
        let text = "1'000'000u 0x1.8p-3f 1e-5f 0x80000000 .5f 3.f 0x1e-1 x-1";
        let expected = [
            "1'000'000u",
            "0x1.8p-3f",
            "1e-5f",
            "0x80000000",
            ".5f",
            "3.f",
            "0x1e",
            "-",
            "1",
            "x",
            "-",
            "1",
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn signs_are_as_long_as_they_can_be() {
        let text = "a<<=b->c::d>=e&&f|=g...";
        let expected = [
            "a", "<<=", "b", "->", "c", "::", "d", ">=", "e", "&&", "f", "|=", "g", "...",
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn brackets_find_each_other_and_bytes_their_place() {
        let source = Source::new("f(a[1], {b});\n  g();");
        assert_eq!((source.close(1), source.open(10)), (Some(10), Some(1)));
        assert_eq!(source.between(2, 6), "a[1]");
        let g = source.tokens[12];
        assert_eq!(source.place(g.start), (2, 3));
        assert_eq!(Source::new("(a").close(0), None);
    }

    #[test]
    fn a_text_that_is_no_code_still_ends() {
        for text in ["'", "\"open", "R\"(x", "é'é", "/*", "#", "\\", "0x"] {
            let _ = Source::new(text);
        }
    }
}
