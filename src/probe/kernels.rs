//! Promised Metal kernels: which of them a build has, in the Metal libraries beside its own, or
//! as source that it compiles at run time. What the kernels compute is not asked here.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::Path;

use super::binary::Exports;
use super::file;
use super::metallib::Library;
use super::room::Room;
use crate::error::Kind;
use crate::series::manifest::KernelEntry;

/// The kernels of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Names of compiled kernels.
    pub names: BTreeSet<String>,
    /// Functions of sources that are compiled at run time.
    pub sources: BTreeSet<String>,
}

impl Found {
    /// Those of a library's own sources and of the Metal libraries in its folder, which is where
    /// MLX looks for its own. The error is what is wrong with one of them.
    pub fn beside(library: &Path, exports: &Exports) -> Result<Self, String> {
        let mut found = Found {
            names: BTreeSet::new(),
            sources: exports.sources.iter().cloned().collect(),
        };
        let folder = library.parent().unwrap_or(Path::new("."));
        let entries = folder.read_dir().map_err(|e| e.to_string())?;
        for entry in entries {
            let path = entry.map_err(|e| e.to_string())?.path();
            if path.extension().is_none_or(|end| end != "metallib") {
                continue;
            }
            let bytes = file::read(&path, Kind::Environment).map_err(|e| e.to_string())?;
            let metallib = Library::parse(&bytes, &Room::default())
                .map_err(|what| format!("{}: {what}", path.display()))?;
            found.names.extend(metallib.kernels().map(String::from));
        }
        Ok(found)
    }

    /// Looks for what an entry promises.
    pub fn look(&self, entry: &KernelEntry) -> Presence {
        let (pattern, wanted) = entry.parts();
        let Some(stem) = pattern.strip_suffix('*') else {
            return match self.names.contains(pattern) {
                true => Presence::Compiled(1),
                false => self.source(|function| is_made_of(pattern, function)),
            };
        };
        let from = (Bound::Included(stem), Bound::Unbounded);
        let names = self.names.range::<str, _>(from);
        let count = names.take_while(|name| name.starts_with(stem)).count();
        match (count, wanted) {
            (0, _) => {
                self.source(|function| function.starts_with(stem) || is_made_of(stem, function))
            }
            (count, Some(wanted)) if count != wanted => Presence::Miscounted(count, wanted),
            (count, _) => Presence::Compiled(count),
        }
    }

    fn source(&self, is_it: impl Fn(&str) -> bool) -> Presence {
        match self.sources.iter().any(|function| is_it(function)) {
            true => Presence::Source,
            false => Presence::Absent,
        }
    }
}

/// True where a kernel of this name is the function or an instance of it. As a rule a function is
/// a template, and its instances are called after it with types and sizes behind:
/// `scale_float_gs_64` of `scale`.
fn is_made_of(kernel: &str, function: &str) -> bool {
    let rest = kernel.strip_prefix(function);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Whether promised kernels are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// So many of them, compiled.
    Compiled(usize),
    /// As source.
    Source,
    /// So many compiled ones, and others are promised.
    Miscounted(usize, usize),
    /// Not at all.
    Absent,
}

impl Presence {
    /// True where all that is promised is there.
    pub fn is_kept(self) -> bool {
        matches!(self, Presence::Compiled(_) | Presence::Source)
    }

    /// In words.
    pub fn text(self) -> String {
        match self {
            Presence::Compiled(1) => "present".into(),
            Presence::Compiled(count) => format!("present, {count} of them"),
            Presence::Source => "present as source, compiled at run time".into(),
            Presence::Miscounted(count, wanted) => format!("{count} of them, not {wanted}"),
            Presence::Absent => "absent".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], sources: &[&str]) -> Found {
        let set = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Found {
            names: set(names),
            sources: set(sources),
        }
    }

    #[test]
    fn a_name_is_one_kernel_and_a_star_stands_for_the_rest_of_several() {
        let found = found(&["scale", "scale_a", "scale_b", "scala"], &[]);
        let name = |text: &str| found.look(&KernelEntry::Name(text.into()));
        let several = |text: &str, n| found.look(&KernelEntry::Several(text.into(), n));
        assert_eq!(name("scale_a"), Presence::Compiled(1));
        assert_eq!(name("scale_"), Presence::Absent);
        assert_eq!(name("scale_*"), Presence::Compiled(2));
        assert_eq!(several("scale_*", 2), Presence::Compiled(2));
        assert_eq!(several("scale_*", 3), Presence::Miscounted(2, 3));
        assert!(!several("scale_*", 1).is_kept());
        assert_eq!(several("other_*", 1), Presence::Absent);
    }

    #[test]
    fn a_kernel_compiled_at_run_time_is_known_by_its_function() {
        let found = found(&[], &["scale_fast"]);
        for there in ["scale_fast", "scale_fast_float", "scale_*", "scale_fast_*"] {
            let look = found.look(&KernelEntry::Name(there.into()));
            assert_eq!(look, Presence::Source, "{there}");
        }
        let several = KernelEntry::Several("scale_fast_*".into(), 40);
        assert_eq!(found.look(&several), Presence::Source);
        for absent in ["scale_faster", "scale", "scale_fas", "fast_*", "scales_*"] {
            let look = found.look(&KernelEntry::Name(absent.into()));
            assert_eq!(look, Presence::Absent, "{absent}");
        }
    }
}
