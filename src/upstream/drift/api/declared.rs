//! What a header declares, read from its text: namespaces, types, functions, variables, aliases
//! and macros, each with its tokens. No preprocessor runs, so the branches of a condition are
//! all declared; what macros make isn't seen.

use crate::mutants::lexer::{Kind, Source};

/// A declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The namespaces and types around it, `mlx::core::array`; empty at the top.
    pub scope: String,
    /// Its name; of a constructor the type's.
    pub name: String,
    /// What it is.
    pub kind: What,
    /// True inside a type, not in a namespace.
    pub is_member: bool,
    /// Its text on one line, without a body and without comments.
    pub text: String,
    /// Its tokens without the names of parameters: two that are equal mean the same.
    pub key: String,
}

/// What a declaration is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A class, struct, union or enumeration.
    Type,
    /// A function.
    Function,
    /// A variable, a constant, an enumerator, an alias.
    Value,
    /// A macro, by its name and parameters.
    Macro,
}

/// A header.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// The headers that it includes by `"…"`.
    pub includes: Vec<String>,
    /// What it declares; of a type's private part nothing.
    pub declared: Vec<Declared>,
}

impl Header {
    /// Reads the text of one.
    pub fn parse(text: &str) -> Self {
        let mut header = Header::default();
        for line in text.lines() {
            let Some(directive) = line.trim_start().strip_prefix('#') else {
                continue;
            };
            let directive = directive.trim_start();
            if let Some(rest) = directive.strip_prefix("include") {
                let named = rest.split('"').nth(1);
                header.includes.extend(named.map(str::to_string));
            } else if let Some(rest) = directive.strip_prefix("define ") {
                header.declared.extend(defined(rest.trim_start()));
            }
        }
        let source = Source::new(text);
        let mut reader = Reader {
            source: &source,
            at: 0,
            in_type: false,
            declared: &mut header.declared,
        };
        while reader.at < source.tokens.len() {
            reader.level("", false);
            // A bracket too many (another branch of a condition): go on behind it.
            reader.at += 1;
        }
        header
    }
}

/// `NAME` or `NAME(a, b)`; what it stands for is no matter of who uses it.
fn defined(rest: &str) -> Option<Declared> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
    let close = match rest[end..].starts_with('(') {
        true => rest.find(')').map_or(rest.len(), |at| at + 1),
        false => end,
    };
    (end > 0).then(|| Declared {
        scope: String::new(),
        name: rest[..end].to_string(),
        kind: What::Macro,
        is_member: false,
        text: format!("#define {}", &rest[..close]),
        key: rest[..close].to_string(),
    })
}

struct Reader<'s, 'd> {
    source: &'s Source<'s>,
    at: usize,
    /// True while it is inside a type.
    in_type: bool,
    declared: &'d mut Vec<Declared>,
}

impl Reader<'_, '_> {
    fn word(&self) -> &str {
        self.source.word(self.at)
    }

    /// Reads the declarations of a namespace or a type, up to the bracket that closes it.
    fn level(&mut self, scope: &str, mut private: bool) {
        let mut head = self.at;
        while self.at < self.source.tokens.len() {
            match self.word() {
                "}" => return,
                "public" | "protected" | "private" if self.source.word(self.at + 1) == ":" => {
                    private = self.word() == "private";
                    self.at += 2;
                    head = self.at;
                }
                ";" => {
                    self.statement(scope, head, self.at, private);
                    self.at += 1;
                    head = self.at;
                }
                "(" | "[" => self.skip(),
                "{" => {
                    if self.block(scope, head, private) {
                        head = self.at;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// To behind the bracket that closes this one.
    fn skip(&mut self) {
        let end = self.source.close(self.at);
        self.at = end.map_or(self.source.tokens.len(), |end| end + 1);
    }

    /// What `{` opens; true where a declaration ends with it.
    fn block(&mut self, scope: &str, head: usize, private: bool) -> bool {
        let words = self.outer(head, self.at);
        let word = |i: &usize| self.source.word(*i);
        let first = words.first().map(word).unwrap_or_default();
        if first == "namespace" || (first == "extern" && words.len() <= 2) || words.is_empty() {
            let name: Vec<&str> = words.iter().skip(1).map(word).collect();
            let name = if first == "namespace" {
                name.concat()
            } else {
                String::new()
            };
            let inner = joined(scope, &name);
            self.at += 1;
            self.level(&inner, false);
            self.at += 1;
            return true;
        }
        let sign = words.iter().position(|i| matches!(word(i), "(" | "="));
        let kind = words
            .iter()
            .position(|i| matches!(word(i), "class" | "struct" | "union" | "enum"));
        if let Some(kind) = kind.filter(|kind| sign.is_none_or(|sign| *kind < sign)) {
            self.kind(scope, head, &words[kind..], private);
            return true;
        }
        let begins = self.at;
        let is_function = sign.is_some_and(|sign| word(&words[sign]) == "(");
        self.skip();
        // `int a{1};` and `a = {1};` go on to their semicolon, and so may `: a_{1} {}`.
        let goes_on = matches!(self.word(), ";" | "," | "{");
        if is_function && !goes_on {
            self.statement(scope, head, begins, private);
            return true;
        }
        false
    }

    /// A type with its body.
    fn kind(&mut self, scope: &str, head: usize, words: &[usize], private: bool) {
        let body = self.at;
        let word = |i: &usize| self.source.word(*i);
        let keyword = words.first().map(word).unwrap_or_default().to_string();
        let before = words
            .iter()
            .skip(1)
            .take_while(|i| !matches!(word(i), ":" | "<"));
        let name = before
            .map(word)
            .filter(|w| !matches!(*w, "final" | "class" | "struct"))
            .last()
            .unwrap_or_default()
            .to_string();
        let end = self.source.close(body).unwrap_or(self.source.tokens.len());
        let until = if keyword == "enum" { end + 1 } else { body };
        if !private && !name.is_empty() {
            self.add(scope, &name, What::Type, head, until);
        }
        let inner = joined(scope, &name);
        if keyword == "enum" {
            self.enumerators(&inner, body, end, private);
            self.at = end + 1;
        } else {
            let count = self.declared.len();
            self.at = body + 1;
            let outside = std::mem::replace(&mut self.in_type, true);
            self.level(&inner, keyword == "class");
            self.in_type = outside;
            self.at += 1;
            if private {
                self.declared.truncate(count);
            }
        }
        // A variable of the type may follow.
        while self.at < self.source.tokens.len() && !matches!(self.word(), ";" | "}") {
            self.at += 1;
        }
        self.at += usize::from(self.word() == ";");
    }

    fn enumerators(&mut self, scope: &str, body: usize, end: usize, private: bool) {
        let mut fresh = true;
        for i in body + 1..end {
            if fresh && !private && self.source.kind(i) == Some(Kind::Word) {
                let name = self.source.word(i).to_string();
                self.add(scope, &name, What::Value, i, i + 1);
            }
            fresh = self.source.word(i) == ",";
        }
    }

    /// A declaration without a body.
    fn statement(&mut self, scope: &str, head: usize, end: usize, private: bool) {
        let words = self.outer(head, end);
        let word = |i: &usize| self.source.word(*i);
        let Some(first) = words.first().map(word) else {
            return;
        };
        let forward = matches!(first, "class" | "struct" | "enum" | "friend" | "namespace");
        let sign = words
            .iter()
            .position(|i| matches!(word(i), "(" | "=" | "{" | "["));
        if private || (forward && sign.is_none()) || first == "static_assert" || first == "friend" {
            return;
        }
        if first == "using" || first == "typedef" {
            let name = match first {
                "using" if words.get(1).map(word) != Some("namespace") => words.get(1),
                "typedef" => words.last(),
                _ => None,
            };
            // `using A::b;` brings a name, and declares none.
            if let Some(name) = name.filter(|_| first == "typedef" || sign == Some(2)) {
                let name = word(name).to_string();
                self.add(scope, &name, What::Value, head, end);
            }
            return;
        }
        if let Some(at) = words.iter().position(|i| word(i) == "operator") {
            let signs: Vec<&str> = (words[at]..end)
                .skip(1)
                .map(|i| self.source.word(i))
                .collect();
            let name = format!("operator{}", signs.first().unwrap_or(&""));
            self.add(scope, &name, What::Function, head, end);
            return;
        }
        let sign = sign.unwrap_or(words.len());
        let Some(name) = sign.checked_sub(1).map(|at| words[at]) else {
            return;
        };
        if self.source.kind(name) != Some(Kind::Word) {
            return;
        }
        let is_function = words.get(sign).map(word) == Some("(");
        let kind = if is_function {
            What::Function
        } else {
            What::Value
        };
        // What a constructor does with its members isn't declared.
        let colon = words.iter().skip(sign).find(|i| word(i) == ":").copied();
        let end = colon.filter(|_| is_function).unwrap_or(end);
        let name = self.source.word(name).to_string();
        self.add(scope, &name, kind, head, end);
    }

    fn add(&mut self, scope: &str, name: &str, kind: What, head: usize, end: usize) {
        let words: Vec<&str> = (head..end).map(|i| self.source.word(i)).collect();
        self.declared.push(Declared {
            scope: scope.into(),
            name: name.into(),
            kind,
            is_member: self.in_type,
            key: without_names(&words).join(" "),
            text: tidy(&words.join(" ")),
        });
    }

    /// The tokens outside brackets, without `template <…>`, `[[…]]` and `alignas(…)`.
    fn outer(&self, from: usize, to: usize) -> Vec<usize> {
        let mut outer = Vec::new();
        let mut i = from;
        while i < to {
            let word = self.source.word(i);
            let attribute = word == "[" && self.source.word(i + 1) == "[";
            if word == "template" {
                i = self.angles(i + 1, to);
                continue;
            }
            if matches!(word, "alignas" | "__attribute__" | "decltype") || attribute {
                let open = if attribute { i } else { i + 1 };
                i = self.source.close(open).map_or(to, |end| end + 1);
                continue;
            }
            outer.push(i);
            i = match word {
                "(" | "[" | "{" => self.source.close(i).map_or(to, |end| end + 1),
                _ => i + 1,
            };
        }
        outer
    }

    /// The token behind `<…>`.
    fn angles(&self, from: usize, to: usize) -> usize {
        let mut depth = 0i32;
        for i in from..to {
            match self.source.word(i) {
                "<" => depth += 1,
                ">" => depth -= 1,
                ">>" => depth -= 2,
                _ => {}
            }
            if depth <= 0 {
                return i + 1;
            }
        }
        to
    }
}

/// The tokens without the names of parameters: `int f ( T a , U b = 1 )` is `int f ( T , U = 1 )`.
fn without_names<'w>(words: &[&'w str]) -> Vec<&'w str> {
    // Two words of a type have no name behind them.
    const TYPES: &[&str] = &[
        "int", "char", "long", "short", "double", "const", "bool", "float",
    ];
    let is_word = |w: &str| w.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut kept: Vec<&str> = Vec::new();
    let mut depth = 0;
    for (at, word) in words.iter().enumerate() {
        depth += i32::from(*word == "(") - i32::from(*word == ")");
        let before = kept.last().copied().unwrap_or_default();
        let behind_type = matches!(before, ">" | ">>" | "&" | "*" | "&&")
            || (is_word(before) && !matches!(before, "const" | "typename" | "struct" | "enum"));
        let next = words.get(at + 1).copied().unwrap_or_default();
        let ends = matches!(next, "," | ")" | "=");
        let is_name = is_word(word) && !TYPES.contains(word) && behind_type && ends;
        if depth == 0 || !is_name {
            kept.push(word);
        }
    }
    kept
}

/// Tokens as people write them.
fn tidy(tokens: &str) -> String {
    let mut text = tokens.replace(" :: ", "::");
    for sign in [
        " (", "( ", " )", " ,", " <", "< ", " >", " &", " *", "[ ", " ]",
    ] {
        text = text.replace(sign, sign.trim());
    }
    text
}

fn joined(scope: &str, name: &str) -> String {
    match (scope, name) {
        (scope, "") => scope.to_string(),
        ("", name) => name.to_string(),
        (scope, name) => format!("{scope}::{name}"),
    }
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod tests;
