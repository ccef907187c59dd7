//! Overloads and specializations that only their address spaces tell apart. C++ has no address
//! spaces, so one of each set stays: they must say the same.

use crate::error::Result;

use super::declarator::is_space;
use super::scope::{Declared, Scope};
use super::{Edit, Unit};

/// The first of a set.
#[derive(Debug)]
pub(super) struct Twin {
    /// Its declaration as written.
    raw: String,
    /// Its body without address spaces; `None` without a body.
    body: Option<String>,
    /// `FILE:LINE`.
    place: String,
}

impl Unit {
    /// Drops a function when one is there that differs by address spaces only.
    ///
    /// # Errors
    /// Their bodies differ: the emulator could run one of them only.
    pub(super) fn twin_function(
        &mut self,
        declared: &Declared,
        signature_end: usize,
        body: Option<usize>,
        end: usize,
        scope: &mut Scope,
    ) -> Result<()> {
        // Whatever the parameters are called: the last word of each, where a type stands before.
        let mut names = Vec::new();
        let close = self.source.partner(declared.params);
        for (from, to) in self.source.split(declared.params + 1, close) {
            let to = self.source.find(from, to, "=").unwrap_or(to);
            let array = (from..to).find(|&k| self.source.word(k) == "[");
            let last = array.unwrap_or(to).wrapping_sub(1);
            if last > from
                && self.source.is_word(last)
                && self.type_at(from).is_some_and(|ty| ty.end <= last)
            {
                names.push(self.source.word(last));
            }
        }
        let key = self.key(declared.start, signature_end, &names);
        // A constructor's initializers belong to its body.
        let body = body.map(|_| self.key(signature_end, end, &names));
        self.twin(key, (declared.start, signature_end, end), body, scope)
    }

    /// Drops a class template's specialization when one is there that differs by address spaces
    /// only.
    ///
    /// # Errors
    /// As [`Self::twin_function`].
    pub(super) fn twin_class(
        &mut self,
        start: usize,
        body: usize,
        end: usize,
        scope: &mut Scope,
    ) -> Result<()> {
        let key = self.key(start, body, &[]);
        let text = self.key(body, end, &[]);
        self.twin(key, (start, body, end), Some(text), scope)
    }

    fn twin(
        &mut self,
        key: String,
        (start, signature_end, end): (usize, usize, usize),
        body: Option<String>,
        scope: &mut Scope,
    ) -> Result<()> {
        let raw = self.source.spaced(start, signature_end);
        let place = self.source.place(start);
        let Some(first) = scope.twins.get(&key) else {
            scope.twins.insert(key, Twin { raw, body, place });
            return Ok(());
        };
        // The same twice is for the compiler to judge, and a declaration for its definition.
        let both = first.body.is_some() == body.is_some();
        if first.raw == raw || !both {
            return Ok(());
        }
        if first.body != body {
            return Err(self.source.unhandled(
                start,
                format!(
                    "this and {} differ in their address spaces and in what they do; the emulator \
                     has one memory and can't tell them apart",
                    first.place
                ),
            ));
        }
        self.edits[start..end].fill(Edit::Drop);
        Ok(())
    }

    /// A range without address spaces and attributes, the words `names` by their number.
    fn key(&self, from: usize, to: usize, names: &[&str]) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut i = from;
        while i < to {
            let word = self.source.word(i);
            if self.is_attribute(i) {
                i = self.source.partner(i) + 1;
                continue;
            }
            let dropped = word == "constant" && self.edits[i] == Edit::Drop;
            if word == "constant" && !dropped || word == "const" {
                if words.last().is_none_or(|last| last != "const") {
                    words.push("const".into());
                }
            } else if let Some(number) = names.iter().position(|name| *name == word) {
                words.push(format!("${number}"));
            } else if !is_space(word) {
                words.push(word.into());
            }
            i += 1;
        }
        words.join(" ")
    }
}
