//! Kernels: which names the host knows, which function each name means, and the function by which
//! the runtime enters.

use crate::error::Result;

use super::attribute::Attribute;
use super::parameter::{Parameter, Role, Space};
use super::scope::{Declared, Scope};
use super::{Edit, Unit};
use crate::emulator::tokens::{integer_value, string_value};

/// A kernel that the host can ask for.
#[derive(Debug, Clone)]
pub struct Export {
    /// Its name there.
    pub name: String,
    /// `FILE:LINE`.
    pub place: String,
    pub(super) function: usize,
    /// The function as a C++ expression.
    callee: String,
    limit: Option<String>,
    /// The token behind which its entry stands.
    pub(super) after: usize,
    path: Vec<String>,
}

/// A function with `[[kernel]]`.
#[derive(Debug)]
pub(super) struct Function {
    name: String,
    path: Vec<String>,
    pub parameters: Vec<Parameter>,
    defined: bool,
    /// C++ for the value of max_total_threads_per_threadgroup: a number, or a variable template.
    limit: Option<String>,
    /// For each template parameter whether it is a type and whether it has a default.
    template: Option<Vec<(bool, bool)>>,
}

impl Unit {
    /// Takes down a kernel that has been read.
    pub(super) fn kernel(
        &mut self,
        declared: &Declared,
        end: usize,
        defined: bool,
        scope: &Scope,
    ) -> Result<()> {
        let source = &self.source;
        if scope.class.is_some() {
            return Err(source.unhandled(declared.name, "a kernel in a class"));
        }
        let name = source.word(declared.name).to_string();
        let parameters = self.read_parameters(declared)?;
        let is_template = declared.start != declared.entity;
        let number = self.functions.len();
        let mut max_threads = None;
        let limit = declared
            .attributes
            .iter()
            .find(|a| a.name == "max_total_threads_per_threadgroup");
        if let Some(Attribute {
            args: Some((from, to)),
            ..
        }) = limit
        {
            let value = self.render(*from, *to);
            max_threads = Some(match is_template {
                false => value,
                // The expression speaks of the template's parameters: a template says its value.
                true => {
                    let header = self.render(declared.start, declared.entity);
                    let variable = format!("emu_max_threads_{number}");
                    let text =
                        format!("{header} constexpr unsigned {variable} = ({value}); template");
                    self.edits[declared.start] = Edit::Replace(text);
                    variable
                }
            });
        }
        // Nothing is compiled of a kernel that is not asked for.
        for i in declared.entity..declared.name {
            if self.is_attribute(i) && self.attributes(i).iter().any(|a| a.name == "kernel") {
                let list = self.source.partner(i);
                self.drop(i, list + 1);
                self.edits[i] = Edit::Replace("inline".into());
            }
        }
        let host_name = declared.attributes.iter().find(|a| a.name == "host_name");
        self.functions.push(Function {
            name: name.clone(),
            path: scope.path.clone(),
            parameters,
            defined,
            limit: max_threads.clone(),
            template: is_template.then(|| self.template_parameters(declared.start)),
        });
        if defined && !is_template {
            let exported = match host_name {
                Some(attribute) => self.host_name(attribute)?,
                None => name.clone(),
            };
            self.exports.push(Export {
                name: exported,
                place: self.source.place(declared.name),
                function: number,
                callee: name,
                limit: max_threads,
                after: end - 1,
                path: scope.path.clone(),
            });
        }
        Ok(())
    }

    /// Reads `template [[host_name("x")]] [[kernel]] decltype(f<T>) f<T>;` and its like; gives
    /// back the token after it.
    pub(super) fn instantiation(&mut self, i: usize, to: usize, scope: &Scope) -> Result<usize> {
        let end = self.semicolon(i, to);
        let source = &self.source;
        let mut attributes = Vec::new();
        let mut k = i + 1;
        let mut marked = false;
        loop {
            if self.is_attribute(k) {
                attributes.extend(self.attributes(k));
                k = source.partner(k) + 1;
            } else if source.word(k) == "kernel" {
                marked = true;
                k += 1;
            } else {
                break;
            }
        }
        marked |= attributes.iter().any(|a| a.name == "kernel");
        let host_name = attributes.iter().find(|a| a.name == "host_name");
        let Some(host_name) = host_name else {
            return match marked {
                false => Ok(end),
                true => Err(source.unhandled(
                    i,
                    "an instantiation of a kernel needs [[host_name(\"…\")]]: without one only \
                     Apple's compiler knows its name",
                )),
            };
        };
        if source.word(k) == "decltype" {
            k = source.partner(k + 1) + 1;
        }
        // The first name with a template list or parameters is what is instantiated.
        while k < end && !(source.is_word(k) && matches!(source.word(k + 1), "<" | "(")) {
            k += 1;
        }
        let list = match source.word(k + 1) {
            "<" if k < end => source.close_angle(k + 1, end).map(|close| (k + 2, close)),
            _ => None,
        };
        let open = list.map_or(k, |(_, close)| close) + 1;
        let parameters = (open < end && source.word(open) == "(").then_some(open);
        if list.is_none() && parameters.is_none() {
            return Err(source.fault(i, "this instantiates no template"));
        }
        let name = source.word(k).to_string();
        let mut first = k;
        while source.word(first - 1) == "::" {
            first -= 1;
            if source.is_word(first - 1) {
                first -= 1;
            }
        }
        let qualifiers: Vec<&str> = (first..k)
            .filter(|&q| source.is_word(q))
            .map(|q| source.word(q))
            .collect();
        let arguments = list.map(|(from, to)| source.split(from, to));
        let function = self.function_named(&name, &qualifiers, arguments.as_deref(), scope, k)?;
        let exported = self.host_name(host_name)?;
        let mut instance = self.render(first, k + 1).replace(' ', "");
        let mut limit = self.functions[function].limit.clone();
        if let Some((from, to)) = list {
            let arguments = format!("<{}>", self.render(from, to));
            let qualifiers = instance.rfind("::").map_or("", |at| &instance[..at + 2]);
            limit = limit.map(|variable| format!("{qualifiers}{variable}{arguments}"));
            instance.push_str(&arguments);
        } else {
            // Deduced arguments can't be said again.
            limit = None;
        }
        let export = Export {
            name: exported,
            place: source.place(i),
            function,
            callee: match parameters {
                None => instance,
                Some(open) => format!(
                    "static_cast<void (*)({})>(&{instance})",
                    self.render(open + 1, source.partner(open))
                ),
            },
            limit,
            after: end - 1,
            path: scope.path.clone(),
        };
        self.exports.push(export);
        self.drop(i, end);
        Ok(end)
    }

    /// The kernel that a name means in a scope.
    fn function_named(
        &self,
        name: &str,
        qualifiers: &[&str],
        arguments: Option<&[(usize, usize)]>,
        scope: &Scope,
        at: usize,
    ) -> Result<usize> {
        let mut all: Vec<usize> = (0..self.functions.len())
            .filter(|&f| self.functions[f].name == name)
            .collect();
        let ends = |path: &[String]| {
            path.len() >= qualifiers.len()
                && path[path.len() - qualifiers.len()..]
                    .iter()
                    .zip(qualifiers)
                    .all(|(a, b)| a == b)
        };
        all.retain(|&f| ends(&self.functions[f].path));
        if all.len() > 1 {
            let here: Vec<usize> = all
                .iter()
                .copied()
                .filter(|&f| scope.path.starts_with(&self.functions[f].path))
                .collect();
            if !here.is_empty() {
                all = here;
            }
        }
        if all.iter().any(|&f| self.functions[f].defined) {
            all.retain(|&f| self.functions[f].defined);
        }
        if let (Some(arguments), true) = (arguments, all.len() > 1) {
            all.retain(|&f| self.fits(&self.functions[f], arguments));
        }
        let source = &self.source;
        match all[..] {
            [one] if self.functions[one].template.is_some() => Ok(one),
            [_] => Err(source.fault(at, format!("the kernel '{name}' is no template"))),
            [] => Err(source.fault(
                at,
                format!(
                    "'{name}' is no kernel: no function template of this name with [[kernel]] \
                     stands above"
                ),
            )),
            _ => Err(source.unhandled(
                at,
                format!("several kernels are called '{name}'; give each a name of its own"),
            )),
        }
    }

    /// The parameters of the template header at `i`.
    fn template_parameters(&self, i: usize) -> Vec<(bool, bool)> {
        let source = &self.source;
        let close = source.close_angle(i + 1, source.len()).unwrap_or(i + 2);
        let describe = |(from, to): (usize, usize)| {
            let ty = matches!(source.word(from), "typename" | "class" | "template");
            (ty, source.find(from, to, "=").is_some())
        };
        source
            .split(i + 2, close)
            .into_iter()
            .map(describe)
            .collect()
    }

    /// False where these arguments can't be those of the function's template: too many or too
    /// few, or a value where a type belongs.
    fn fits(&self, function: &Function, arguments: &[(usize, usize)]) -> bool {
        let parameters = function.template.as_deref().unwrap_or_default();
        let needed = parameters.iter().filter(|(_, default)| !default).count();
        let value = |(from, _): &(usize, usize)| {
            let word = self.source.word(*from);
            matches!(word, "true" | "false" | "-") || integer_value(word).is_some()
        };
        (needed..=parameters.len()).contains(&arguments.len())
            && parameters
                .iter()
                .zip(arguments)
                .all(|((ty, _), argument)| !(*ty && value(argument)))
    }

    fn host_name(&self, attribute: &Attribute) -> Result<String> {
        let source = &self.source;
        let values: Option<Vec<String>> = attribute
            .args
            .map(|(from, to)| (from..to).map(|k| string_value(source.word(k))).collect())
            .unwrap_or_default();
        match values.map(|values| values.concat()) {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(source.fault(attribute.at, "[[host_name]] takes a string")),
        }
    }

    /// The entry of a kernel and what describes its arguments, on one line.
    pub(super) fn entry(&self, export: &Export, number: usize) -> String {
        let function = &self.functions[export.function];
        let callee = &export.callee;
        let pointer = match callee.starts_with("static_cast") {
            true => callee.clone(),
            false => format!("&{callee}"),
        };
        let mut calls = Vec::new();
        let mut rows = String::new();
        for (i, parameter) in function.parameters.iter().enumerate() {
            let ty = format!("S::arg<{i}>");
            let name = &parameter.name;
            let space = match parameter.space {
                Some(Space::Constant) => "constant",
                Some(Space::Threadgroup) => "threadgroup",
                _ => "device",
            };
            let mut describe = |kind: &str, index: u64, optional: bool| {
                rows.push_str(&format!(
                    "::emu::describe<emu_signature_{number}::arg<{i}>>(::emu::Kind::{kind}, {index}, \
                     \"{name}\", ::emu::Space::{space}{}), ",
                    if optional { ", true" } else { "" }
                ));
            };
            calls.push(match &parameter.role {
                Role::Position(position) => format!("::emu::attribute<{ty}>(t.{position})"),
                Role::Threadgroup { index } => {
                    describe("threadgroup", *index, false);
                    format!("::emu::threadgroup_argument<{ty}>(t, {index})")
                }
                Role::Buffer { index, when: None } => {
                    describe("buffer", *index, false);
                    format!("::emu::buffer<{ty}>(t, {index})")
                }
                Role::Buffer {
                    index,
                    when: Some(when),
                } => {
                    describe("buffer", *index, true);
                    format!("::emu::buffer_if<{ty}>(t, {index}, ({when}))")
                }
            });
        }
        format!(
            " namespace {{ using emu_signature_{number} = ::emu::Signature<decltype({pointer})>; \
             void emu_entry_{number}(const ::emu::Thread& t) {{ (void)t; \
             using S = emu_signature_{number}; (void)sizeof(S); {callee}({}); }} \
             const ::emu::Argument emu_arguments_{number}[] = {{{rows}{{}}}}; \
             const unsigned emu_limit_{number} = {}; }}",
            calls.join(", "),
            export.limit.as_deref().unwrap_or("0")
        )
    }

    /// The kernel's row in the library's table.
    pub(super) fn row(&self, export: &Export, number: usize) -> String {
        let path: String = export.path.iter().map(|name| format!("::{name}")).collect();
        let count = self.functions[export.function]
            .parameters
            .iter()
            .filter(|p| !matches!(p.role, Role::Position(_)))
            .count();
        format!(
            "{{{:?}, {path}::emu_entry_{number}, {path}::emu_arguments_{number}, {count}, \
             {path}::emu_limit_{number}}}, ",
            export.name
        )
    }
}
