//! Metal to C++17, by editing tokens: a preprocessed .metal text goes in, the same text comes
//! out with address spaces erased, threadgroup variables bound to storage, kernels collected,
//! and an entry function for each kernel that is asked for. Lines stay where they are, so that
//! a compiler's message and a debugger's line are the .metal file's.
//!
//! From the bottom up: `attribute` (`[[…]]`), `declarator` (types, pointers, address spaces),
//! `block` (statements, threadgroup variables), `scope` (namespaces, classes, functions),
//! `twins` (overloads that only address spaces tell apart), `parameter` and `kernel` (what is bound, names, entries).
//! Not a compiler: what is wrong in ordinary C++ is left to one.

mod attribute;
mod block;
mod declarator;
mod kernel;
mod parameter;
mod scope;
#[cfg(test)]
mod tests;
mod twins;

use std::collections::HashMap;

use crate::error::{Error, Result};

use super::tokens::{Kind, Source};

pub use attribute::POSITIONS;
pub use kernel::Export;
pub use parameter::{Parameter, Role, Space};

/// A function constant.
#[derive(Debug, Clone)]
pub struct Constant {
    /// Its index.
    pub index: u64,
    /// Its name.
    pub name: String,
    /// Its type, as written.
    pub ty: String,
    /// `FILE:LINE`.
    pub place: String,
    /// True where the source asks whether it is set, and so does without it.
    pub optional: bool,
}

impl Constant {
    /// The name that a library has for the constant at this place in [`Unit::constants`], where
    /// anything of it reads the constant.
    pub(super) fn symbol(number: usize) -> String {
        format!("emu_constant_{number}")
    }
}

/// What becomes of a token.
#[derive(Debug, Clone, PartialEq)]
enum Edit {
    Keep,
    Drop,
    Replace(String),
}

/// A .metal text that has been read: its kernels, and how it is turned into C++.
#[derive(Debug)]
pub struct Unit {
    source: Source,
    edits: Vec<Edit>,
    functions: Vec<kernel::Function>,
    exports: Vec<Export>,
    constants: Vec<Constant>,
    storages: usize,
}

impl Unit {
    /// Reads a preprocessed text.
    ///
    /// # Errors
    /// [`crate::Kind::Gate`] for what Apple's compiler would reject too, [`crate::Kind::Usage`]
    /// for Metal that the emulator has not; both with file and line.
    pub fn read(source: Source) -> Result<Self> {
        let edits = vec![Edit::Keep; source.len()];
        let mut unit = Unit {
            source,
            edits,
            functions: Vec::new(),
            exports: Vec::new(),
            constants: Vec::new(),
            storages: 0,
        };
        unit.lists()?;
        unit.file()?;
        unit.remaining()?;
        unit.unique_names()?;
        Ok(unit)
    }

    /// Checks that what is always followed by a list in parentheses is: the rest relies on it.
    fn lists(&self) -> Result<()> {
        for i in 0..self.source.len() {
            let word = self.source.word(i);
            if matches!(word, "alignas" | "decltype") && self.source.word(i + 1) != "(" {
                return Err(self
                    .source
                    .fault(i, format!("'(' is missing after '{word}'")));
            }
        }
        Ok(())
    }

    /// The kernels, in the order of the text.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    /// The function constants, in the order of the text.
    pub fn constants(&self) -> &[Constant] {
        &self.constants
    }

    /// The parameters of a kernel.
    pub fn parameters(&self, export: &Export) -> &[Parameter] {
        &self.functions[export.function].parameters
    }

    /// The kernel of this name.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] where there is none, with the nearest names.
    pub fn export(&self, name: &str) -> Result<&Export> {
        if let Some(found) = self.exports.iter().find(|export| export.name == name) {
            return Ok(found);
        }
        let mut near: Vec<&str> = self.exports.iter().map(|e| e.name.as_str()).collect();
        near.sort_by_key(|other| std::cmp::Reverse(common(name, other)));
        near.truncate(5);
        let place = self.source.place(usize::MAX);
        let file = place.rsplit_once(':').map_or("", |(file, _)| file);
        let error = Error::usage(format!("{file} has no kernel '{name}'"));
        Err(match near.is_empty() {
            true => error.hint(
                "it has none at all: a kernel is a function with [[kernel]], \
                 and a template one needs an instantiation with [[host_name(\"…\")]]",
            ),
            false => error.hint(format!("the nearest are {}", near.join(", "))),
        })
    }

    /// The C++ text, with entries for these kernels only.
    ///
    /// # Errors
    /// As [`Self::export`].
    pub fn text(&self, kernels: &[&str]) -> Result<String> {
        let mut inserts: HashMap<usize, String> = HashMap::new();
        let mut rows = String::new();
        for (number, name) in kernels.iter().enumerate() {
            let export = self.export(name)?;
            let entry = self.entry(export, number);
            inserts.entry(export.after).or_default().push_str(&entry);
            rows.push_str(&self.row(export, number));
        }
        let mut text = String::with_capacity(self.source.text.len() + 4096);
        text.push_str("#include \"emulator/metal.h\"\n");
        let mut at = 0;
        for (i, token) in self.source.tokens.iter().enumerate() {
            text.push_str(&self.source.text[at..token.start]);
            match &self.edits[i] {
                Edit::Keep => text.push_str(self.source.word(i)),
                Edit::Drop => {
                    let lines = self.source.word(i).matches('\n').count();
                    text.extend(std::iter::repeat_n('\n', lines));
                }
                Edit::Replace(new) => text.push_str(new),
            }
            if let Some(insert) = inserts.get(&i) {
                text.push_str(insert);
            }
            at = token.end;
        }
        text.push_str(&self.source.text[at..]);
        text.push_str(&format!(
            "\nextern \"C\" __attribute__((visibility(\"default\"))) \
             const ::emu::Kernel emu_kernels[] = {{{rows}}};\n\
             extern \"C\" __attribute__((visibility(\"default\"))) \
             const unsigned emu_kernel_count = {};\n",
            kernels.len()
        ));
        Ok(text)
    }

    /// The tokens of a range as C++, on one line and without attributes.
    fn render(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        let mut next = from;
        while next < to {
            let i = next;
            if self.is_attribute(i) {
                next = self.source.partner(i) + 1;
                continue;
            }
            next += 1;
            let word = match &self.edits[i] {
                Edit::Replace(new) => new.as_str(),
                _ if self.source.tokens[i].kind == Kind::Pragma => "",
                _ => match self.source.word(i) {
                    "device" | "thread" | "threadgroup" => "",
                    "constant" => "const",
                    word => word,
                },
            };
            if !word.is_empty() {
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(word);
            }
        }
        text
    }

    fn drop(&mut self, from: usize, to: usize) {
        self.edits[from..to].fill(Edit::Drop);
    }

    /// Edits what needs no knowledge of where it stands, and refuses what nothing handled.
    fn remaining(&mut self) -> Result<()> {
        for i in 0..self.source.len() {
            if self.edits[i] != Edit::Keep {
                continue;
            }
            let edit = match self.source.tokens[i].kind {
                Kind::Pragma => self.pragma(i)?,
                Kind::Number => literal(self.source.word(i)),
                Kind::Word => self.keyword(i)?,
                Kind::Sign if self.source.word(i) == "[" && self.source.word(i + 1) == "[" => {
                    let end = self.source.partner(i);
                    self.attribute_left(i, end)?;
                    continue;
                }
                _ => continue,
            };
            if let Some(edit) = edit {
                self.edits[i] = edit;
            }
        }
        Ok(())
    }

    fn keyword(&mut self, i: usize) -> Result<Option<Edit>> {
        let source = &self.source;
        Ok(match source.word(i) {
            "device" | "thread" => Some(Edit::Drop),
            "constant" => Some(Edit::Replace("const".into())),
            "threadgroup" => {
                self.qualifies(i)?;
                Some(Edit::Drop)
            }
            "coherent" if source.word(i + 1) == "(" => {
                let end = source.partner(i + 1) + 1;
                self.drop(i, end);
                None
            }
            "kernel" | "vertex" | "fragment" => {
                return Err(source.unhandled(
                    i,
                    format!(
                        "'{}' stands where the emulator expects no such function",
                        source.word(i)
                    ),
                ));
            }
            word @ ("ray_data" | "object_data" | "threadgroup_imageblock") => {
                return Err(source.unhandled(
                    i,
                    format!("the emulator has no address space '{word}'; it runs compute kernels"),
                ));
            }
            "is_function_constant_defined" if source.word(i + 1) == "(" => {
                let end = source.partner(i + 1);
                let name = source.word(end - 1);
                let constant = self.constants.iter_mut().find(|c| c.name == name);
                let Some(constant) = constant else {
                    return Err(source.fault(i, format!("'{name}' is no function constant")));
                };
                constant.optional = true;
                let index = constant.index;
                self.drop(i, end + 1);
                Some(Edit::Replace(format!(
                    "::emu::function_constant_defined({index})"
                )))
            }
            word if source.word(i + 1) == "<" && is_image(word) => {
                return Err(source.unhandled(
                    i,
                    format!("the emulator has no '{word}': textures and their kind don't run here"),
                ));
            }
            _ => None,
        })
    }

    fn pragma(&self, i: usize) -> Result<Option<Edit>> {
        let text = self.source.word(i);
        let words: Vec<&str> = text["#".len()..].split_whitespace().collect();
        let rest = words.get(2..).unwrap_or_default().concat();
        Ok(match words.get(1) {
            Some(&"METAL") if rest.starts_with("internals") => Some(Edit::Drop),
            Some(&"METAL") => {
                let contract = rest.strip_prefix("fpcontract(");
                match contract.and_then(|rest| rest.strip_suffix(')')) {
                    Some(how @ ("off" | "on" | "fast")) => {
                        Some(Edit::Replace(format!("#pragma clang fp contract({how})")))
                    }
                    _ => {
                        return Err(self.source.unhandled(
                            i,
                            format!(
                                "the emulator doesn't know '{text}'; of Metal's pragmas it knows \
                                 'fp contract(on|off|fast)' and 'internals'"
                            ),
                        ));
                    }
                }
            }
            Some(word) if word.starts_with("unused") => Some(Edit::Drop),
            _ => None,
        })
    }

    fn unique_names(&self) -> Result<()> {
        let mut seen: HashMap<&str, &Export> = HashMap::new();
        for export in &self.exports {
            if let Some(first) = seen.insert(&export.name, export) {
                return Err(self.source.fault(
                    export.after,
                    format!(
                        "a second kernel with the name '{}'; the first is at {}",
                        export.name, first.place
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// A number with one of Metal's own suffixes; one without any is a float there, not a double.
fn literal(word: &str) -> Option<Edit> {
    if word.starts_with("0x") || word.starts_with("0X") {
        return None;
    }
    if word.contains(['.', 'e', 'E']) && word.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Some(Edit::Replace(format!("{word}f")));
    }
    let (digits, function) = match word.strip_suffix(['h', 'H']) {
        Some(digits) => (digits, "half_literal"),
        None => (
            word.strip_suffix("bf").or(word.strip_suffix("BF"))?,
            "bfloat_literal",
        ),
    };
    Some(Edit::Replace(format!("::emu::{function}({digits})")))
}

fn is_image(word: &str) -> bool {
    let kinds = [
        "texture",
        "depth1d",
        "depth2d",
        "depthcube",
        "imageblock",
        "visible_function_table",
        "intersection_function_table",
    ];
    kinds.iter().any(|kind| word.starts_with(kind))
}

/// How many letters two names share at their beginnings and ends.
fn common(a: &str, b: &str) -> usize {
    let same = |(x, y): &(char, char)| x == y;
    let front = a.chars().zip(b.chars()).take_while(same).count();
    let back = a.chars().rev().zip(b.chars().rev()).take_while(same);
    front + back.count()
}
