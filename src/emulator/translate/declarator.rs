//! Types and declarators as far as address spaces need them: where a type ends, whether each
//! pointer and reference names the space that it points into, what a `threadgroup` qualifies.

use crate::error::Result;

use super::Unit;

const SPACES: &[&str] = &["device", "thread", "constant", "threadgroup"];

/// Words before or after a type that are no part of its name.
const SPECIFIERS: &[&str] = &[
    "const",
    "volatile",
    "static",
    "constexpr",
    "inline",
    "mutable",
    "extern",
];

/// Words that together name one type.
const BUILTIN: &[&str] = &[
    "unsigned", "signed", "long", "short", "int", "char", "float", "double", "bool", "void",
];

/// Words that begin a statement and no declaration of a variable.
const STATEMENTS: &[&str] = &[
    "return",
    "if",
    "for",
    "while",
    "do",
    "switch",
    "case",
    "default",
    "break",
    "continue",
    "goto",
    "else",
    "using",
    "typedef",
    "static_assert",
    "template",
    "new",
    "delete",
    "throw",
    "this",
    "sizeof",
    "public",
    "private",
    "protected",
    "friend",
    "namespace",
    "struct",
    "class",
    "union",
    "enum",
    "operator",
];

/// The beginning of a declaration: specifiers and a type.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeAt {
    /// The first token of the type's own name.
    pub name: usize,
    /// The token after the type and what qualifies it.
    pub end: usize,
    /// The `threadgroup` among the specifiers.
    pub threadgroup: Option<usize>,
    /// The `alignas` among the specifiers.
    pub alignas: Option<usize>,
}

pub(super) fn is_space(word: &str) -> bool {
    SPACES.contains(&word)
}

impl Unit {
    /// The type that begins at `i`, specifiers first; `None` where no type can.
    pub(super) fn type_at(&self, i: usize) -> Option<TypeAt> {
        let source = &self.source;
        let mut found = TypeAt {
            name: i,
            end: i,
            threadgroup: None,
            alignas: None,
        };
        let mut k = self.skip_specifiers(i, &mut found);
        if source.word(k) == "typename" {
            k += 1;
        }
        let word = source.word(k);
        if !source.is_word(k) || STATEMENTS.contains(&word) {
            return None;
        }
        found.name = k;
        if word == "decltype" {
            k = source.partner(k + 1) + 1;
        } else if BUILTIN.contains(&word) {
            while BUILTIN.contains(&source.word(k)) {
                k += 1;
            }
        } else {
            loop {
                if source.word(k) == "template" {
                    k += 1;
                }
                if !source.is_word(k) {
                    return None;
                }
                k += 1;
                if source.word(k) == "<" {
                    k = source.close_angle(k, source.len())? + 1;
                }
                if source.word(k) != "::" {
                    break;
                }
                k += 1;
            }
        }
        found.end = self.skip_specifiers(k, &mut found);
        Some(found)
    }

    fn skip_specifiers(&self, mut k: usize, found: &mut TypeAt) -> usize {
        let source = &self.source;
        loop {
            let word = source.word(k);
            if self.is_attribute(k) {
                k = source.partner(k) + 1;
            } else if word == "alignas" || (word == "coherent" && source.word(k + 1) == "(") {
                if word == "alignas" {
                    found.alignas = Some(k);
                }
                k = source.partner(k + 1) + 1;
            } else if SPECIFIERS.contains(&word) || is_space(word) {
                if word == "threadgroup" {
                    found.threadgroup = Some(k);
                }
                k += 1;
            } else {
                return k;
            }
        }
    }

    /// Checks the pointers of a declaration that may begin at `i`; what is none is left alone.
    ///
    /// # Errors
    /// A pointer or a reference without an address space.
    pub(super) fn check_declaration(&self, i: usize) -> Result<()> {
        let source = &self.source;
        let Some(ty) = self.type_at(i) else {
            return Ok(());
        };
        let mut k = ty.end;
        if !matches!(source.word(k), "*" | "&" | "&&") {
            return Ok(());
        }
        while matches!(source.word(k), "*" | "&" | "&&" | "const" | "volatile")
            || is_space(source.word(k))
        {
            k += 1;
        }
        let declares = source.is_word(k)
            && matches!(
                source.word(k + 1),
                "=" | ";" | "," | "[" | "{" | ":" | "(" | ")"
            );
        match declares {
            // `f(a * b)` and `a & b)` are no declarations.
            true if source.word(k + 1) != ")" => self.check_pointers(i, k),
            _ => Ok(()),
        }
    }

    /// Checks each `*` and `&` between two tokens, outside of template lists and brackets. In
    /// `device T*& x` the reference needs no space of its own: Apple's compiler gives it one.
    ///
    /// # Errors
    /// One without an address space.
    pub(super) fn check_pointers(&self, from: usize, to: usize) -> Result<()> {
        let source = &self.source;
        let mut spaced = false;
        let mut i = from;
        while i < to {
            match source.word(i) {
                "=" => break,
                "<" if i > from && source.is_word(i - 1) => {
                    i = source.close_angle(i, to).unwrap_or(i);
                }
                "(" if matches!(source.word(i + 1), "*" | "&" | "&&") => {}
                "(" | "[" | "{" => i = source.partner(i),
                word @ ("*" | "&" | "&&") if !spaced => {
                    let what = if word == "*" { "pointer" } else { "reference" };
                    return Err(source.fault(
                        i,
                        format!(
                            "the {what} in '{}' has no address space; say device, constant, \
                             threadgroup or thread",
                            source.spaced(from, to)
                        ),
                    ));
                }
                word if is_space(word) => spaced = true,
                _ => {}
            }
            i += 1;
        }
        Ok(())
    }

    /// Checks that the `threadgroup` at `i` says where something points, or belongs to a member
    /// function: a variable in threadgroup memory has been taken out by now.
    ///
    /// # Errors
    /// It stands elsewhere.
    pub(super) fn qualifies(&self, i: usize) -> Result<()> {
        let source = &self.source;
        let mut before = i;
        while before > 0 && matches!(source.word(before - 1), "const" | "volatile" | "noexcept") {
            before -= 1;
        }
        if before > 0 && source.word(before - 1) == ")" {
            return Ok(());
        }
        let mut k = i + 1;
        loop {
            match source.word(k) {
                "*" | "&" | "&&" => return Ok(()),
                "(" if matches!(source.word(k + 1), "*" | "&" | "&&") => return Ok(()),
                "<" => match source.close_angle(k, source.len()) {
                    Some(close) => k = close + 1,
                    None => break,
                },
                "::" => k += 1,
                _ if source.is_word(k) => k += 1,
                _ => break,
            }
        }
        Err(source.unhandled(
            i,
            "'threadgroup' stands where the emulator can't place it: it qualifies what a pointer \
             or a reference points to, or declares a variable in a function's body \
             (`threadgroup float a[32];`)",
        ))
    }
}
