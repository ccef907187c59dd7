//! Statements: variables in threadgroup memory become references into storage that the
//! runtime keeps for each threadgroup; pointers that are declared are checked; lambdas and
//! local classes are found.

use crate::error::Result;

use super::declarator::TypeAt;
use super::scope::Scope;
use super::{Edit, Unit};

impl Unit {
    /// Reads the statements between two braces.
    pub(super) fn block(&mut self, open: usize) -> Result<()> {
        let close = self.source.partner(open);
        let mut i = open + 1;
        let mut begins = true;
        while i < close {
            let word = self.source.word(i);
            let next = match word {
                ";" => {
                    begins = true;
                    i + 1
                }
                "{" if self.is_block(i) => {
                    self.block(i)?;
                    begins = true;
                    self.source.partner(i) + 1
                }
                "else" | "do" => {
                    begins = true;
                    i + 1
                }
                "(" => {
                    begins = matches!(self.source.word(i - 1), "for" | "if" | "while" | "switch");
                    if !begins {
                        self.check_cast(i)?;
                    }
                    i + 1
                }
                ")" => {
                    let before = self.source.partner(i).wrapping_sub(1);
                    let control = self.source.word(before);
                    begins = matches!(control, "for" | "if" | "while" | "switch" | "constexpr");
                    i + 1
                }
                "case" | "default" if begins => {
                    let colon = self.source.find(i, close, ":").unwrap_or(i);
                    colon + 1
                }
                "[" if self.is_attribute(i) => self.source.partner(i) + 1,
                "[" if self.is_lambda(i) => {
                    begins = false;
                    self.lambda(i)?
                }
                "struct" | "class" | "union" if begins => {
                    self.entity(i, i, close, &mut Scope::local())?
                }
                _ if begins && self.source.is_word(i) => {
                    begins = false;
                    match self.type_at(i) {
                        Some(ty) if ty.threadgroup.is_some() => {
                            match self.source.word(ty.end) {
                                // It points there.
                                "*" | "&" | "&&" | "(" => ty.end,
                                _ => {
                                    begins = true;
                                    self.storage(i, ty)?
                                }
                            }
                        }
                        _ => {
                            self.check_declaration(i)?;
                            i + 1
                        }
                    }
                }
                _ => {
                    // A pragma stands before a statement without being one.
                    if self.source.is_word(i) || !word.starts_with('#') {
                        begins = false;
                    }
                    i + 1
                }
            };
            i = next;
        }
        Ok(())
    }

    /// True where statements stand between the braces, not an initializer's values.
    fn is_block(&self, i: usize) -> bool {
        matches!(
            self.source.word(i - 1),
            ")" | "]" | "{" | "}" | ";" | ":" | "else" | "do" | "try" | "mutable" | "noexcept"
        ) || self.source.word(i - 1).starts_with('#')
    }

    fn is_lambda(&self, i: usize) -> bool {
        let before = self.source.word(i - 1);
        let subscript =
            matches!(before, ")" | "]" | ">") || (self.source.is_word(i - 1) && before != "return");
        let after = self.source.word(self.source.partner(i) + 1);
        !subscript && matches!(after, "(" | "{" | "mutable")
    }

    /// Reads a lambda's parameters; its body is a block like any other.
    fn lambda(&mut self, i: usize) -> Result<usize> {
        let open = self.source.partner(i) + 1;
        if self.source.word(open) != "(" {
            return Ok(open);
        }
        let close = self.source.partner(open);
        for (from, to) in self.source.split(open + 1, close) {
            self.check_pointers(from, to)?;
        }
        Ok(close + 1)
    }

    /// Checks `(T*)`, which can be nothing but a cast.
    fn check_cast(&self, open: usize) -> Result<()> {
        let close = self.source.partner(open);
        let cast = close > open + 2 && self.source.word(close - 1) == "*";
        match cast && self.type_at(open + 1).is_some() {
            true => self.check_pointers(open + 1, close),
            false => Ok(()),
        }
    }

    /// Turns `threadgroup T a[N], b;` into references; gives back the token after it.
    fn storage(&mut self, start: usize, ty: TypeAt) -> Result<usize> {
        let source = &self.source;
        let end = source.find(ty.end, source.len(), ";").unwrap_or(ty.end);
        if source.word(ty.name) == "auto" {
            return Err(source.fault(
                ty.name,
                "a variable in threadgroup memory needs a type of its own, not 'auto'",
            ));
        }
        let mut before: Vec<String> = Vec::new();
        for i in start..ty.end {
            let word = source.word(i);
            if matches!(word, "const" | "volatile") {
                before.push(word.into());
            }
        }
        before.dedup();
        let typename = ["", "typename"][usize::from(source.word(ty.name - 1) == "typename")];
        // What qualifies the type stands behind its name too.
        let mut last = ty.end;
        while last > ty.name + 1
            && matches!(source.word(last - 1), "const" | "volatile" | "threadgroup")
        {
            last -= 1;
        }
        let name_of_type = self.render(ty.name, last);
        let specifiers = before.join(" ");
        let mut text = String::new();
        for (from, to) in self.source.split(ty.end, end) {
            let source = &self.source;
            if !source.is_word(from) {
                return Err(source.unhandled(
                    from,
                    format!(
                        "'{}' in threadgroup memory: the emulator takes variables and arrays",
                        source.spaced(start, end)
                    ),
                ));
            }
            let name = source.word(from);
            let mut k = from + 1;
            let mut suffix = String::new();
            while k < to && source.word(k) == "[" {
                let close = source.partner(k);
                if !self.is_attribute(k) {
                    suffix.push_str(&self.render(k, close + 1));
                }
                k = close + 1;
            }
            // Apple's compiler takes `= {0}` and makes it a static initializer, which no GPU
            // carries out: the memory stays as it was found.
            if k < to && !matches!(source.word(k), "=" | "{") {
                return Err(source.unhandled(
                    k,
                    format!(
                        "'{}' after the name of a variable in threadgroup memory",
                        source.word(k)
                    ),
                ));
            }
            let number = self.storages;
            let id = format!("emu_tg_{number}");
            text.push_str(&format!(
                "typedef {typename} {name_of_type} {specifiers} {id}{suffix}; "
            ));
            match ty.alignas {
                None => text.push_str(&format!(
                    "{id}& {name} = ::emu::threadgroup_memory<{id}>({number}, \"{name}\"); "
                )),
                Some(at) => {
                    let align = self.render(at, self.source.partner(at + 1) + 1);
                    text.push_str(&format!(
                        "struct emu_at_{number} {{ {align} {id} value; }}; {id}& {name} = \
                         ::emu::threadgroup_memory<emu_at_{number}>({number}, \"{name}\").value; "
                    ));
                }
            }
            self.storages += 1;
        }
        self.drop(start, end + 1);
        self.edits[start] = Edit::Replace(text.trim_end().to_string());
        Ok(end + 1)
    }
}
