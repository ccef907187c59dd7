//! Declarations of a file, a namespace or a class: finds functions and their parameter lists,
//! kernels, instantiations, function constants, and what stands in threadgroup memory where
//! nothing can.

use std::collections::HashMap;

use crate::error::Result;

use super::attribute::Attribute;
use super::declarator::is_space;
use super::twins::Twin;
use super::{Constant, Edit, Unit};
use crate::emulator::tokens::{Kind, integer_value};

/// Where declarations stand.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The namespaces and classes around, outermost first; unnamed ones are left out.
    pub path: Vec<String>,
    /// The class whose members these are.
    pub class: Option<String>,
    /// What was declared here, without address spaces.
    pub twins: HashMap<String, Twin>,
}

impl Scope {
    /// A scope inside a function.
    pub fn local() -> Self {
        Scope::default()
    }

    fn inside(&self, names: &[String], class: Option<String>) -> Self {
        Scope {
            path: self.path.iter().chain(names).cloned().collect(),
            class,
            twins: HashMap::new(),
        }
    }
}

/// A function, as far as its declaration says.
#[derive(Debug)]
pub(super) struct Declared {
    /// Its first token, that of a template's header included.
    pub start: usize,
    /// The first token after the template's headers.
    pub entity: usize,
    /// Its name.
    pub name: usize,
    /// The `(` of its parameters.
    pub params: usize,
    /// The attributes before its name.
    pub attributes: Vec<Attribute>,
}

impl Unit {
    /// Reads the whole file.
    pub(super) fn file(&mut self) -> Result<()> {
        let mut scope = Scope::default();
        self.declarations(0, self.source.len(), &mut scope)
    }

    fn declarations(&mut self, from: usize, to: usize, scope: &mut Scope) -> Result<()> {
        let mut i = from;
        while i < to {
            i = self.declaration(i, to, scope)?;
        }
        Ok(())
    }

    /// Reads one declaration; gives back the token after it.
    fn declaration(&mut self, i: usize, to: usize, scope: &mut Scope) -> Result<usize> {
        let source = &self.source;
        if source.tokens[i].kind == Kind::Pragma {
            return Ok(i + 1);
        }
        match source.word(i) {
            ";" => Ok(i + 1),
            "inline" if source.word(i + 1) == "namespace" => Ok(i + 1),
            "namespace" => {
                let mut k = i + 1;
                let mut names = Vec::new();
                while !matches!(source.word(k), "{" | "=" | ";" | "") {
                    if source.is_word(k) {
                        names.push(source.word(k).to_string());
                    }
                    k += 1;
                }
                if source.word(k) != "{" {
                    return Ok(self.semicolon(k, to));
                }
                let close = source.partner(k);
                let mut inside = scope.inside(&names, None);
                self.declarations(k + 1, close, &mut inside)?;
                Ok(close + 1)
            }
            "extern" if source.word(i + 2) == "{" => {
                let close = source.partner(i + 2);
                self.declarations(i + 3, close, scope)?;
                Ok(close + 1)
            }
            "using" | "typedef" | "static_assert" | "enum" => Ok(self.semicolon(i, to)),
            "public" | "private" | "protected" if source.word(i + 1) == ":" => Ok(i + 2),
            "template" if source.word(i + 1) == "<" => {
                let mut k = i;
                while source.word(k) == "template" && source.word(k + 1) == "<" {
                    let Some(close) = source.close_angle(k + 1, to) else {
                        return Err(source.fault(k, "nothing closes this template's list"));
                    };
                    k = close + 1;
                }
                match source.word(k) {
                    "using" => Ok(self.semicolon(k, to)),
                    _ => self.entity(i, k, to, scope),
                }
            }
            "template" => self.instantiation(i, to, scope),
            "friend" => self.entity(i, i + 1, to, scope),
            _ => self.entity(i, i, to, scope),
        }
    }

    /// The token after the next `;` outside of brackets.
    pub(super) fn semicolon(&self, i: usize, to: usize) -> usize {
        self.source.find(i, to, ";").map_or(to, |k| k + 1)
    }

    /// Reads a class, a function or a variable that begins at `i`, its template headers at
    /// `start`; gives back the token after it.
    pub(super) fn entity(
        &mut self,
        start: usize,
        i: usize,
        to: usize,
        scope: &mut Scope,
    ) -> Result<usize> {
        let mut attributes = Vec::new();
        let mut k = i;
        let mut assigned = false;
        while k < to {
            let source = &self.source;
            match source.word(k) {
                "[" if self.is_attribute(k) => {
                    attributes.extend(self.attributes(k));
                    k = source.partner(k);
                }
                "kernel" => {
                    attributes.push(Attribute {
                        name: "kernel".into(),
                        args: None,
                        at: k,
                    });
                    self.edits[k] = Edit::Replace("inline".into());
                }
                word @ ("vertex" | "fragment") if source.is_word(k + 1) => {
                    return Err(source.unhandled(
                        k,
                        format!("the emulator runs compute kernels; it doesn't know '{word}'"),
                    ));
                }
                "struct" | "class" | "union" if !assigned => {
                    if let Some(body) = self.class_body(k, to) {
                        return self.class(start, k, body, to, scope);
                    }
                }
                "alignas" | "decltype" | "__attribute__" | "coherent" | "explicit"
                    if source.word(k + 1) == "(" =>
                {
                    k = source.partner(k + 1);
                }
                "operator" => {
                    let name = k;
                    k += 1;
                    if source.word(k) == "(" {
                        k = source.partner(k) + 1;
                    }
                    while k < to && source.word(k) != "(" {
                        k += 1;
                    }
                    if k >= to {
                        return Err(source.fault(name, "this operator has no parameters"));
                    }
                    let declared = Declared {
                        start,
                        entity: i,
                        name,
                        params: k,
                        attributes,
                    };
                    return self.function(declared, to, scope);
                }
                "<" if k > i && source.is_word(k - 1) && !assigned => {
                    let Some(close) = source.close_angle(k, to) else {
                        return Err(source.fault(k, "nothing closes this template's list"));
                    };
                    k = close;
                }
                "(" if !assigned && self.is_parameters(k) => {
                    let mut name = k - 1;
                    if source.word(name) == ">" {
                        name = (start..name)
                            .rev()
                            .find(|&n| {
                                source.word(n + 1) == "<"
                                    && source.close_angle(n + 1, k) == Some(k - 1)
                            })
                            .unwrap_or(name);
                    }
                    let declared = Declared {
                        start,
                        entity: i,
                        name,
                        params: k,
                        attributes,
                    };
                    return self.function(declared, to, scope);
                }
                "(" | "[" => k = source.partner(k),
                "=" => assigned = true,
                "{" => {
                    assigned = true;
                    k = source.partner(k);
                }
                ";" => break,
                _ => {}
            }
            k += 1;
        }
        self.variable(i, k, &attributes)?;
        Ok(k + 1)
    }

    /// False where a variable's initializer or declarator stands in the parentheses.
    fn is_parameters(&self, open: usize) -> bool {
        let source = &self.source;
        let first = source.word(open + 1);
        let kind = source.tokens.get(open + 1).map(|t| t.kind);
        open > 0
            && (source.is_word(open - 1) || source.word(open - 1) == ">")
            && !matches!(first, "*" | "&" | "&&")
            && !matches!(kind, Some(Kind::Text | Kind::Number))
    }

    /// The `{` of the class whose keyword is at `k`; `None` for a mere mention.
    fn class_body(&self, k: usize, to: usize) -> Option<usize> {
        let source = &self.source;
        let mut i = k + 1;
        while i < to {
            match source.word(i) {
                "{" => return Some(i),
                ";" | "(" | ")" | "=" | "*" | "&" => return None,
                "[" => i = source.partner(i),
                "<" => i = source.close_angle(i, to)?,
                "alignas" => i = source.partner(i + 1),
                _ => {}
            }
            i += 1;
        }
        None
    }

    fn class(
        &mut self,
        start: usize,
        key: usize,
        body: usize,
        to: usize,
        scope: &mut Scope,
    ) -> Result<usize> {
        let mut name = key + 1;
        while name < body && !self.source.is_word(name) {
            name = match self.source.word(name) {
                "[" => self.source.partner(name) + 1,
                _ => name + 1,
            };
        }
        let name = match name < body {
            true => self.source.word(name).to_string(),
            false => String::new(),
        };
        if self.source.word(key) == "union" && !name.is_empty() {
            // A vector is copied in one access and so not trivially: a union that holds one
            // needs copies of its own.
            self.edits[body] = Edit::Replace(format!("{{ EMU_UNION({name})"));
        }
        let close = self.source.partner(body);
        let mut inside = scope.inside(std::slice::from_ref(&name), Some(name.clone()));
        self.declarations(body + 1, close, &mut inside)?;
        let end = self.semicolon(close, to);
        self.twin_class(start, body, end, scope)?;
        Ok(end)
    }

    fn function(&mut self, declared: Declared, to: usize, scope: &mut Scope) -> Result<usize> {
        let close = self.source.partner(declared.params);
        for (from, to) in self.source.split(declared.params + 1, close) {
            self.check_pointers(from, to)?;
        }
        self.check_pointers(declared.entity, declared.name)?;
        let mut k = close + 1;
        let constructor = scope.class.as_deref() == Some(self.source.word(declared.name));
        let mut is_const = false;
        let (body, end) = loop {
            let source = &self.source;
            match source.word(k) {
                "{" => break (Some(k), source.partner(k) + 1),
                ";" => break (None, k + 1),
                "" | "," => {
                    // Several declarators: no function after all.
                    break (None, self.semicolon(k, to));
                }
                "=" => break (None, self.semicolon(k, to)),
                ":" => {
                    k = self.after_initializers(k + 1);
                    continue;
                }
                "const" => is_const = true,
                "constant" => {
                    self.edits[k] = match constructor || is_const {
                        true => Edit::Drop,
                        false => Edit::Replace("const".into()),
                    };
                }
                word if is_space(word) => self.edits[k] = Edit::Drop,
                "(" | "[" => k = source.partner(k),
                "->" => {
                    while !matches!(source.word(k + 1), "{" | ";" | "") {
                        k += 1;
                    }
                }
                _ => {}
            }
            k += 1;
        };
        let signature_end = (close + 1..end)
            .find(|&k| matches!(self.source.word(k), "{" | ";" | ":" | "="))
            .unwrap_or(end);
        let kernel = declared.attributes.iter().any(|a| a.name == "kernel");
        if let Some(body) = body {
            self.block(body)?;
        }
        if body.is_some() && !kernel && scope.class.is_none() {
            self.inline(&declared);
        }
        if kernel {
            self.kernel(&declared, end, body.is_some(), scope)?;
        } else {
            self.twin_function(&declared, signature_end, body, end, scope)?;
        }
        Ok(end)
    }

    /// Makes a function inline, so that a library has the functions which its kernels call, and
    /// no others.
    fn inline(&mut self, declared: &Declared) {
        let source = &self.source;
        let template = declared.start != declared.entity;
        if template && source.word(declared.start + 2) != ">" {
            return;
        }
        let mut first = None;
        let mut i = declared.entity;
        while i < declared.name {
            if self.is_attribute(i) {
                i = source.partner(i) + 1;
                continue;
            }
            let word = source.word(i);
            if matches!(
                word,
                "inline" | "static" | "constexpr" | "extern" | "coherent"
            ) {
                return;
            }
            if first.is_none() && source.is_word(i) && !is_space(word) {
                first = Some(i);
            }
            i += 1;
        }
        if let Some(first) = first.filter(|&first| self.edits[first] == Edit::Keep) {
            self.edits[first] = Edit::Replace(format!("inline {}", source.word(first)));
        }
    }

    /// The token after a constructor's initializers: the `{` of its body.
    fn after_initializers(&self, mut k: usize) -> usize {
        let source = &self.source;
        while k < source.len() {
            match source.word(k) {
                "(" => k = source.partner(k),
                "<" => k = source.close_angle(k, source.len()).unwrap_or(k),
                // A brace right behind a name initializes it.
                "{" if source.is_word(k - 1) || source.word(k - 1) == ">" => k = source.partner(k),
                "{" => return k,
                _ => {}
            }
            k += 1;
        }
        k
    }

    /// Reads a variable between two tokens: a function constant, mostly not.
    fn variable(&mut self, from: usize, to: usize, attributes: &[Attribute]) -> Result<()> {
        let source = &self.source;
        let Some(ty) = self.type_at(from) else {
            return Ok(());
        };
        if let Some(at) = ty.threadgroup
            && !matches!(source.word(ty.end), "*" | "&" | "&&" | "(")
        {
            return Err(source.fault(
                at,
                "a variable in threadgroup memory belongs in the body of a function, not in a \
                 namespace or a class",
            ));
        }
        self.check_declaration(from)?;
        let Some(attribute) = attributes.iter().find(|a| a.name == "function_constant") else {
            return Ok(());
        };
        let index = attribute
            .args
            .filter(|(a, b)| b - a == 1)
            .and_then(|(a, _)| integer_value(source.word(a)));
        let Some(index) = index else {
            return Err(source.unhandled(
                attribute.at,
                "the emulator takes a number as a function constant's index",
            ));
        };
        let name_at = ty.end;
        let constant = (from..to).any(|k| source.word(k) == "constant");
        let list = (name_at..to).find(|&k| self.is_attribute(k));
        let whole = source.is_word(name_at) && list == Some(name_at + 1);
        if !constant || !whole {
            return Err(source.fault(
                from,
                "a function constant is declared as `constant TYPE NAME [[function_constant(n)]];`",
            ));
        }
        let name = source.word(name_at).to_string();
        let mut type_end = ty.name;
        while type_end < name_at && source.word(type_end) != "constant" {
            type_end += 1;
        }
        let type_text = self.render(ty.name, type_end);
        if let Some(first) = self
            .constants
            .iter()
            .find(|c| c.index == index && c.name != name)
        {
            return Err(source.fault(
                attribute.at,
                format!(
                    "function constant {index} is '{}' already, at {}",
                    first.name, first.place
                ),
            ));
        }
        let place = source.place(from);
        self.drop(from, to);
        let symbol = Constant::symbol(self.constants.len());
        self.edits[from] = Edit::Replace(format!(
            "static const {type_text} {name} __asm__(\"{symbol}\") = \
             ::emu::function_constant<{type_text}>({index}, \"{name}\")"
        ));
        self.constants.push(Constant {
            index,
            name,
            ty: type_text,
            place,
            optional: false,
        });
        Ok(())
    }
}
