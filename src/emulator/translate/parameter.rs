//! A kernel's parameters: what each points into, what it is bound to, under which index.

use crate::error::{Error, Result};

use super::Unit;
use super::attribute::{Attribute, POSITIONS};
use super::scope::Declared;
use crate::emulator::tokens::integer_value;

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

impl Unit {
    /// The parameters of a kernel, each with its index.
    pub(super) fn read_parameters(&self, declared: &Declared) -> Result<Vec<Parameter>> {
        let source = &self.source;
        let close = source.partner(declared.params);
        let mut read = Vec::new();
        for (from, to) in source.split(declared.params + 1, close) {
            if source.word(from) != "void" || to > from + 1 {
                read.push((from, self.parameter(from, to)?));
            }
        }
        self.number(&mut read)?;
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

    /// Gives the parameters without an index the lowest ones that no parameter names, in order, as
    /// Apple's compiler does.
    ///
    /// # Errors
    /// There are more of them than indices.
    fn number(&self, parameters: &mut [(usize, Parameter)]) -> Result<()> {
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
            let mut free = (0..BUFFERS).filter(|index| !taken.contains(index));
            for (at, parameter) in parameters.iter_mut() {
                match (&mut parameter.role, threadgroup) {
                    (Role::Buffer { index, .. }, false) | (Role::Threadgroup { index }, true)
                        if *index == u64::MAX =>
                    {
                        let next = free.next();
                        *index = next.ok_or_else(|| self.none_left(*at, threadgroup))?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn none_left(&self, at: usize, threadgroup: bool) -> Error {
        let what = ["buffers", "threadgroup parameters"][usize::from(threadgroup)];
        self.source.fault(
            at,
            format!("no index is left for this: a kernel has {BUFFERS} {what} at the most"),
        )
    }
}
