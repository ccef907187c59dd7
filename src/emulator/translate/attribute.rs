//! `[[…]]`: which attributes there are, what is in them, and what becomes of them.

use crate::error::Result;

use super::{Edit, Unit};

/// The attributes that say where a thread is: also the names of `emu::Thread`'s fields.
pub const POSITIONS: &[&str] = &[
    "thread_position_in_grid",
    "thread_position_in_threadgroup",
    "threadgroup_position_in_grid",
    "threads_per_grid",
    "threads_per_threadgroup",
    "dispatch_threads_per_threadgroup",
    "threadgroups_per_grid",
    "grid_origin",
    "grid_size",
    "thread_index_in_threadgroup",
    "thread_index_in_simdgroup",
    "simdgroup_index_in_threadgroup",
    "simdgroups_per_threadgroup",
    "dispatch_simdgroups_per_threadgroup",
    "threads_per_simdgroup",
    "thread_execution_width",
    "thread_index_in_quadgroup",
    "quadgroup_index_in_threadgroup",
    "quadgroups_per_threadgroup",
    "dispatch_quadgroups_per_threadgroup",
];

/// Metal's others that a kernel can have here.
const OTHERS: &[&str] = &[
    "kernel",
    "host_name",
    "buffer",
    "threadgroup",
    "max_total_threads_per_threadgroup",
];

/// C++'s, which stay.
const STANDARD: &[&str] = &[
    "maybe_unused",
    "nodiscard",
    "noreturn",
    "deprecated",
    "fallthrough",
    "likely",
    "unlikely",
];

/// One attribute of a list.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// Its name, with its namespace: `clang::always_inline`.
    pub name: String,
    /// The tokens between its parentheses.
    pub args: Option<(usize, usize)>,
    /// Its first token.
    pub at: usize,
}

impl Unit {
    /// True where `[[` stands.
    pub(super) fn is_attribute(&self, i: usize) -> bool {
        self.source.word(i) == "[" && self.source.word(i + 1) == "["
    }

    /// The attributes of the list at `i`.
    pub(super) fn attributes(&self, i: usize) -> Vec<Attribute> {
        let source = &self.source;
        let inner = source.split(i + 2, source.partner(i + 1));
        let read = |(from, to): (usize, usize)| {
            let open = (from..to).find(|&k| source.word(k) == "(");
            let name = (from..open.unwrap_or(to)).map(|k| source.word(k)).collect();
            Attribute {
                name,
                args: open.map(|open| (open + 1, source.partner(open))),
                at: from,
            }
        };
        inner.into_iter().map(read).collect()
    }

    /// Drops the attributes of the list from `i` to `end` that C++ doesn't know.
    ///
    /// # Errors
    /// One that nobody knows, and one that means something elsewhere only.
    pub(super) fn attribute_left(&mut self, i: usize, end: usize) -> Result<()> {
        let all = self.attributes(i);
        let stays = |name: &str| STANDARD.contains(&name) || name.contains("::");
        if all.iter().any(|attribute| stays(&attribute.name)) {
            return Ok(());
        }
        for attribute in &all {
            let name = attribute.name.as_str();
            let beside_buffer =
                name == "function_constant" && all.iter().any(|other| other.name == "buffer");
            if POSITIONS.contains(&name) || OTHERS.contains(&name) || beside_buffer {
                continue;
            }
            let what = match name {
                "function_constant" => {
                    "[[function_constant]] belongs to a variable of a namespace in the constant \
                     address space, or beside [[buffer(n)]]"
                        .into()
                }
                "texture" | "sampler" => {
                    format!("the emulator has no textures and samplers ([[{name}]])")
                }
                "vertex" | "fragment" | "object" | "mesh" | "intersection" | "visible"
                | "stitchable" | "stage_in" | "id" => {
                    format!("the emulator runs compute kernels; it doesn't know [[{name}]]")
                }
                _ => format!("unknown attribute [[{name}]]"),
            };
            return Err(self.source.unhandled(attribute.at, what));
        }
        self.edits[i..=end].fill(Edit::Drop);
        Ok(())
    }
}
