//! What tokens of C++ are together, as far as the operators ask: calls with their arguments,
//! binary operators, statements, and what is no code to change. By the look of formatted
//! code, without knowing a type.

use super::lexer::{Kind, Source};

/// Words that are neither a value nor a function's name.
pub const KEYWORDS: &[&str] = &[
    "alignas",
    "asm",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "explicit",
    "extern",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "operator",
    "private",
    "protected",
    "public",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "struct",
    "switch",
    "template",
    "throw",
    "try",
    "typedef",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
];

/// A source with what is known of it.
#[derive(Debug)]
pub struct Syntax<'a> {
    source: &'a Source<'a>,
    skipped: Vec<bool>,
}

/// A call; everything by tokens.
#[derive(Debug)]
pub struct Call {
    /// The first token of the name with its scopes: `S` of `S::template left<4>(w)`.
    pub start: usize,
    /// The name itself.
    pub name: usize,
    /// The closing bracket.
    pub close: usize,
    /// First token of each argument, and the token after its last one.
    pub arguments: Vec<(usize, usize)>,
}

impl<'a> Syntax<'a> {
    /// Looks a source over.
    pub fn new(source: &'a Source<'a>) -> Self {
        let mut skipped = vec![false; source.tokens.len()];
        for i in 0..source.tokens.len() {
            let end = match source.word(i) {
                "template" if source.word(i + 1) == "<" => close_angle(source, i + 1),
                "static_assert" | "alignas" | "__attribute__" => source.close(i + 1),
                "[" if source.word(i + 1) == "[" => source.close(i),
                "enum" => (i..source.tokens.len()).find(|j| source.word(*j) == "}"),
                "using" | "namespace" | "friend" => {
                    (i..source.tokens.len()).find(|j| matches!(source.word(*j), ";" | "{"))
                }
                "operator" => Some(i + 1),
                _ => None,
            };
            for j in i..end.map_or(i, |end| end + 1) {
                if let Some(skipped) = skipped.get_mut(j) {
                    *skipped = true;
                }
            }
        }
        Syntax { source, skipped }
    }

    /// True for what is no code to change: template heads, attributes, names of things.
    pub fn is_skipped(&self, i: usize) -> bool {
        self.skipped[i]
    }

    /// True for an operator between two values: formatted code has space on both sides of it,
    /// and none of a template's brackets, a pointer's star or a sign.
    pub fn is_binary(&self, i: usize) -> bool {
        let operand = i > 0
            && match self.source.kind(i - 1) {
                Some(Kind::Word) => !KEYWORDS.contains(&self.source.word(i - 1)),
                Some(Kind::Sign) => matches!(self.source.word(i - 1), ")" | "]" | "}" | ">"),
                _ => true,
            };
        operand && i + 1 < self.source.tokens.len() && self.source.is_spaced(i)
    }

    /// Where the expression begins that token `i` ends, given the tokens that it can't hold.
    pub fn left_end(&self, i: usize, ends: &[&str]) -> usize {
        let mut at = i;
        while at > 0 {
            let word = self.source.word(at - 1);
            if matches!(word, "(" | "[" | "{" | "," | ";" | "}") || ends.contains(&word) {
                break;
            }
            at = match word {
                ")" | "]" => match self.source.open(at - 1) {
                    Some(open) => open,
                    None => break,
                },
                _ => at - 1,
            };
        }
        at
    }

    /// The token after the expression that begins behind token `i`.
    pub fn right_end(&self, i: usize, ends: &[&str]) -> usize {
        let mut at = i + 1;
        while at < self.source.tokens.len() {
            let word = self.source.word(at);
            if matches!(word, ")" | "]" | "}" | "," | ";") || ends.contains(&word) {
                break;
            }
            at = match word {
                "(" | "[" | "{" => match self.source.close(at) {
                    Some(close) => close + 1,
                    None => break,
                },
                _ => at + 1,
            };
        }
        at
    }

    /// The call whose name token `i` is; none where it declares something.
    pub fn call(&self, i: usize) -> Option<Call> {
        let source = self.source;
        if KEYWORDS.contains(&source.word(i)) {
            return None;
        }
        let mut open = i + 1;
        if source.word(open) == "<" && !source.is_spaced(open) {
            open = close_angle(source, open)? + 1;
        }
        if source.word(open) != "(" {
            return None;
        }
        let close = source.close(open)?;
        let mut start = i;
        while start > 1 && matches!(source.word(start - 1), "::" | "template") {
            start -= match source.word(start - 1) {
                "::" if source.kind(start - 2) == Some(Kind::Word) => 2,
                _ => 1,
            };
        }
        let before = start.checked_sub(1);
        if before.is_some_and(|before| source.word(before) == "~" || ends_a_type(source, before)) {
            return None;
        }
        let arguments = self.split(open, close);
        let declares = |(from, to): &(usize, usize)| declares(source, *from, *to);
        if arguments.is_empty() || arguments.iter().any(declares) {
            return None;
        }
        Some(Call {
            start,
            name: i,
            close,
            arguments,
        })
    }

    fn split(&self, open: usize, close: usize) -> Vec<(usize, usize)> {
        let mut arguments = Vec::new();
        let (mut from, mut at) = (open + 1, open + 1);
        while at < close {
            match self.source.word(at) {
                "(" | "[" | "{" => at = self.source.close(at).unwrap_or(close),
                "<" if !self.source.is_spaced(at) => {
                    at = close_angle(self.source, at).unwrap_or(at);
                }
                "," => {
                    arguments.push((from, at));
                    from = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        if from < close {
            arguments.push((from, close));
        }
        arguments
    }

    /// The bracket that is open at token `i`.
    fn around(&self, i: usize) -> Option<usize> {
        let mut at = i;
        while at > 0 {
            at = match self.source.word(at - 1) {
                "(" | "[" | "{" => return Some(at - 1),
                ")" | "]" | "}" => self.source.open(at - 1)?,
                _ => at - 1,
            };
        }
        None
    }

    /// True where a statement begins, if this is inside of a function.
    pub fn begins_statement(&self, i: usize) -> bool {
        let source = self.source;
        let Some(before) = i.checked_sub(1) else {
            return false;
        };
        match source.word(before) {
            ";" | "{" | "}" | "else" | "do" => true,
            ":" => {
                let start = (0..before)
                    .rev()
                    .find(|j| matches!(source.word(*j), ";" | "{" | "}"));
                let label = source.word(start.map_or(0, |start| start + 1));
                matches!(label, "case" | "default")
            }
            ")" => source.open(before).is_some_and(|open| {
                let head = source.word(open.wrapping_sub(1));
                matches!(head, "if" | "for" | "while" | "switch" | "constexpr")
            }),
            _ => false,
        }
    }

    /// The semicolon that ends the statement at `i`, where that is an expression, a break or
    /// a continue: something that can go without taking a name along.
    pub fn expression_statement(&self, i: usize) -> Option<usize> {
        let source = self.source;
        let mut end = i;
        while source.word(end) != ";" {
            match source.word(end) {
                "" | ")" | "]" | "}" => return None,
                // The body of a function or of what comes with a condition.
                "{" if matches!(source.word(end - 1), ")" | "const" | "else" | "do") => {
                    return None;
                }
                "(" | "[" | "{" => end = source.close(end)? + 1,
                _ => end += 1,
            }
        }
        // Not the parts of a for's head.
        if self.around(i).is_some_and(|open| source.word(open) != "{") {
            return None;
        }
        let first = source.word(i);
        let takes = source.word(i + 1) == "(" && source.word(i + 2) != ")";
        if takes && !KEYWORDS.contains(&first) && self.call(i).is_none() {
            return None;
        }
        if end == i || self.is_skipped(i) || declares(source, i, end) {
            return None;
        }
        let goes = matches!(first, "break" | "continue" | "asm")
            || (!KEYWORDS.contains(&first) && source.kind(i) != Some(Kind::Number));
        goes.then_some(end)
    }
}

/// True where a name behind token `i` would be declared: after a type.
pub fn ends_a_type(source: &Source, i: usize) -> bool {
    let word = source.word(i);
    match source.kind(i) {
        Some(Kind::Word) => !matches!(
            word,
            "return" | "case" | "else" | "do" | "throw" | "new" | "operator" | "and" | "or" | "not"
        ),
        // A star or an ampersand of a type has no space before it.
        Some(Kind::Sign) => {
            let close = |i: usize| {
                let end = source.tokens[i].start;
                !source.text[..end].ends_with(char::is_whitespace)
            };
            matches!(word, ">" | ">>" | "*" | "&" | "&&") && i > 0 && close(i) && {
                source.kind(i - 1) == Some(Kind::Word) || matches!(source.word(i - 1), ">" | "*")
            }
        }
        _ => false,
    }
}

/// True where these tokens begin like a declaration: a type, then a name.
fn declares(source: &Source, from: usize, to: usize) -> bool {
    for i in from..to {
        match source.word(i) {
            "const" | "auto" | "typename" | "static" | "using" | "constexpr" | "int" | "float"
            | "bool" | "char" | "void" | "unsigned" => return true,
            "=" | "(" | "{" | "[" | "." | "->" | "?" => return false,
            _ => {}
        }
        let named = source.kind(i) == Some(Kind::Word) && i > from;
        if named && source.word(i) != "operator" && ends_a_type(source, i - 1) {
            return true;
        }
    }
    false
}

/// The bracket that closes a template's at `open`; none where that is a comparison.
fn close_angle(source: &Source, open: usize) -> Option<usize> {
    let mut depth = 0i32;
    let mut at = open;
    while at < source.tokens.len() {
        match source.word(at) {
            "<" if !source.is_spaced(at) || at == open => depth += 1,
            ">" => depth -= 1,
            ">>" if !source.is_spaced(at) => depth -= 2,
            "(" | "[" | "{" => at = source.close(at)?,
            ";" | ")" | "]" | "}" => return None,
            _ => {}
        }
        if depth <= 0 {
            return Some(at);
        }
        at += 1;
    }
    None
}
