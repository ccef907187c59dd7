//! Kernels: what each parameter is bound to, which names the host knows, and the function by
//! which the runtime enters.

use crate::error::Result;

use super::attribute::{Attribute, POSITIONS};
use super::scope::{Declared, Scope};
use super::{Edit, Unit};
use crate::emulator::tokens::{integer_value, string_value};

/// The highest index of a buffer plus one.
const BUFFERS: u64 = 31;

/// What a parameter points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Device memory.
    Device,
    /// Device memory that is read only.
    Constant,
    /// Threadgroup memory.
    Threadgroup,
}

/// What a parameter is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A buffer, or bytes.
    Buffer {
        /// Its index.
        index: u64,
        /// The function constant that says whether it is there.
        when: Option<String>,
    },
    /// Threadgroup memory whose size the host sets.
    Threadgroup {
        /// Its index.
        index: u64,
    },
    /// Where the thread is: one of [`POSITIONS`].
    Position(&'static str),
}

/// A kernel's parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it points into; `None` for positions.
    pub space: Option<Space>,
    /// What it is bound to.
    pub role: Role,
    /// True where the kernel may write what it points to.
    pub writable: bool,
}

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

    fn read_parameters(&self, declared: &Declared) -> Result<Vec<Parameter>> {
        let source = &self.source;
        let close = source.partner(declared.params);
        let mut read = Vec::new();
        for (from, to) in source.split(declared.params + 1, close) {
            if source.word(from) != "void" || to > from + 1 {
                read.push((from, self.parameter(from, to)?));
            }
        }
        number(&mut read);
        self.distinct(&read)?;
        Ok(read.into_iter().map(|(_, parameter)| parameter).collect())
    }

    fn parameter(&self, from: usize, to: usize) -> Result<Parameter> {
        let source = &self.source;
        let mut attributes = Vec::new();
        let (mut space, mut points) = (None, false);
        let mut name = None;
        let mut is_const = false;
        let mut i = from;
        while i < to {
            match source.word(i) {
                "[" if self.is_attribute(i) => {
                    attributes.extend(self.attributes(i));
                    i = source.partner(i);
                }
                "[" => {
                    points = true;
                    i = source.partner(i);
                }
                "(" if matches!(source.word(i + 1), "*" | "&" | "&&") => {}
                "(" => i = source.partner(i),
                "<" => i = source.close_angle(i, to).unwrap_or(i),
                "*" | "&" | "&&" => points = true,
                "const" if !points => is_const = true,
                "device" => space = Some(Space::Device),
                "constant" => space = Some(Space::Constant),
                "threadgroup" => space = Some(Space::Threadgroup),
                "thread" => {
                    return Err(source.fault(
                        i,
                        "a kernel's parameter can't point into the thread address space",
                    ));
                }
                word if source.is_word(i) => name = Some((i, word)),
                _ => {}
            }
            i += 1;
        }
        let type_end = self.type_at(from).map_or(from, |ty| ty.end);
        let Some((at, name)) = name.filter(|(at, _)| *at >= type_end) else {
            return Err(source.unhandled(from, "a kernel's parameter without a name"));
        };
        let shown = || format!("the parameter '{name}'");
        let given = |wanted: &str| attributes.iter().find(|a| a.name == wanted);
        let index = |attribute: &Attribute| {
            let mut range = attribute.args.unwrap_or((at, at));
            while source.word(range.0) == "(" && range.1 > range.0 + 1 {
                range = (range.0 + 1, range.1 - 1);
            }
            let value = match range.1 == range.0 + 1 {
                true => integer_value(source.word(range.0)),
                false => None,
            };
            value.filter(|value| *value < BUFFERS).ok_or_else(|| {
                source.fault(
                    attribute.at,
                    format!(
                        "[[{}]] of {} takes a number from 0 to {}",
                        attribute.name,
                        shown(),
                        BUFFERS - 1
                    ),
                )
            })
        };
        let mut known = vec!["function_constant"];
        let role = if let Some(attribute) = given("buffer") {
            known.push("buffer");
            let when = given("function_constant").map(|a| {
                let (from, to) = a.args.unwrap_or((a.at, a.at));
                self.render(from, to)
            });
            if !points || space == Some(Space::Threadgroup) || space.is_none() {
                return Err(source.fault(
                    attribute.at,
                    format!(
                        "[[buffer]] belongs to a pointer or a reference into device or constant \
                         memory, which {} is not",
                        shown()
                    ),
                ));
            }
            Role::Buffer {
                index: index(attribute)?,
                when,
            }
        } else if let Some(attribute) = given("threadgroup") {
            known.push("threadgroup");
            if !points || space != Some(Space::Threadgroup) {
                return Err(source.fault(
                    attribute.at,
                    format!(
                        "[[threadgroup]] belongs to a pointer or a reference into threadgroup \
                         memory, which {} is not",
                        shown()
                    ),
                ));
            }
            Role::Threadgroup {
                index: index(attribute)?,
            }
        } else if let Some(position) = attributes
            .iter()
            .find_map(|a| POSITIONS.iter().find(|p| **p == a.name))
        {
            known.push(position);
            if points {
                return Err(source.fault(
                    at,
                    format!("[[{position}]] belongs to a value, and {} points", shown()),
                ));
            }
            Role::Position(position)
        } else if points && attributes.is_empty() {
            // Numbered when all explicit indices are known.
            match space {
                Some(Space::Threadgroup) => Role::Threadgroup { index: u64::MAX },
                Some(_) => Role::Buffer {
                    index: u64::MAX,
                    when: None,
                },
                None => {
                    return Err(source.fault(at, format!("{} has no address space", shown())));
                }
            }
        } else if attributes.is_empty() {
            return Err(source.fault(
                at,
                format!(
                    "{} of a kernel is neither a buffer nor a position: make it a reference \
                     (`constant T& {name} [[buffer(n)]]`), or give it an attribute such as \
                     [[thread_position_in_grid]]",
                    shown()
                ),
            ));
        } else {
            let names: Vec<String> = attributes
                .iter()
                .map(|a| format!("[[{}]]", a.name))
                .collect();
            return Err(source.unhandled(
                attributes[0].at,
                format!(
                    "{} has {}, which the emulator doesn't know",
                    shown(),
                    names.join(" ")
                ),
            ));
        };
        let conditional = given("function_constant");
        if let Some(attribute) = conditional
            && !matches!(role, Role::Buffer { .. })
        {
            return Err(source.unhandled(
                attribute.at,
                format!("[[function_constant]] on {}, which is no buffer", shown()),
            ));
        }
        if let Some(other) = attributes
            .iter()
            .find(|a| !known.contains(&a.name.as_str()))
        {
            return Err(
                source.unhandled(other.at, format!("{} has [[{}]] too", shown(), other.name))
            );
        }
        Ok(Parameter {
            name: name.to_string(),
            space: space.filter(|_| points),
            writable: points && !is_const && space != Some(Space::Constant),
            role,
        })
    }

    fn distinct(&self, parameters: &[(usize, Parameter)]) -> Result<()> {
        for (n, (at, parameter)) in parameters.iter().enumerate() {
            for (_, earlier) in &parameters[..n] {
                let clash = match (&earlier.role, &parameter.role) {
                    (Role::Buffer { index: a, when: x }, Role::Buffer { index: b, when: y }) => {
                        // Two that are never there together may share an index.
                        (a == b && (x.is_none() || y.is_none())).then_some(("buffer", b))
                    }
                    (Role::Threadgroup { index: a }, Role::Threadgroup { index: b }) => {
                        (a == b).then_some(("threadgroup", b))
                    }
                    _ => None,
                };
                if let Some((what, index)) = clash {
                    return Err(self.source.fault(
                        *at,
                        format!(
                            "the parameters '{}' and '{}' are both [[{what}({index})]]",
                            earlier.name, parameter.name
                        ),
                    ));
                }
            }
        }
        Ok(())
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

/// Gives the parameters without an index the lowest ones that no parameter names, in order, as
/// Apple's compiler does.
fn number(parameters: &mut [(usize, Parameter)]) {
    for threadgroup in [false, true] {
        let taken: Vec<u64> = parameters
            .iter()
            .filter_map(|(_, p)| match (&p.role, threadgroup) {
                (Role::Buffer { index, .. }, false) | (Role::Threadgroup { index }, true) => {
                    Some(*index)
                }
                _ => None,
            })
            .collect();
        let mut free = (0..).filter(|index| !taken.contains(index));
        for (_, parameter) in parameters.iter_mut() {
            match (&mut parameter.role, threadgroup) {
                (Role::Buffer { index, .. }, false) | (Role::Threadgroup { index }, true)
                    if *index == u64::MAX =>
                {
                    *index = free.next().unwrap_or(u64::MAX);
                }
                _ => {}
            }
        }
    }
}
