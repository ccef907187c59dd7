//! Which mutants there are: every change that the operators find in the kernels' sources, and
//! the faults of mutants.toml; what each is called, and on which SIMD path it shows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::file::MutantsFile;
use super::lexer::Source;
use super::operators::{Edit, edits};
use crate::build::files::files_below;
use crate::error::{Doing, Error, Result, reading};
use crate::simd;

/// A deliberate fault.
#[derive(Debug, Clone, Serialize)]
pub struct Mutant {
    /// `FILE:LINE:COLUMN:OPERATOR`, or the name of a fault of mutants.toml.
    pub name: String,
    /// The operator; `fault` for those of mutants.toml.
    pub operator: String,
    /// What goes wrong in words, where somebody wrote it down.
    pub what: Option<String>,
    /// The source, by its path in `mlx_primitives`.
    pub file: String,
    /// The SIMD path whose kernels the source belongs to; none where it belongs to all.
    pub simd: Option<&'static str>,
    /// The lines that it changes, before and after.
    pub before: String,
    /// The same lines, changed.
    pub after: String,
    #[serde(skip)]
    edit: Edit,
    #[serde(skip)]
    source: Arc<str>,
}

/// Which mutants to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only those with this in their name, description or operator.
    pub filter: Option<String>,
    /// At most so many, from as many places and operators as there are.
    pub sample: Option<usize>,
    /// Which ones a sample takes.
    pub seed: u64,
}

/// The folder whose every change must show in parity's cases. What checks arguments and
/// derives is elsewhere: its tests are C++ and Python.
const KERNELS: &str = "backend/cpu";

impl Mutant {
    /// The source with the fault in it.
    pub fn faulty(&self) -> String {
        let Edit { start, end, .. } = self.edit;
        let (head, tail) = (&self.source[..start], &self.source[end..]);
        format!("{head}{}{tail}", self.edit.with)
    }

    fn new(file: &str, text: &Arc<str>, edit: Edit) -> Self {
        let (line, column) = Source {
            text,
            tokens: Vec::new(),
        }
        .place(edit.start);
        let from = text[..edit.start].rfind('\n').map_or(0, |n| n + 1);
        let to = text[edit.end..]
            .find('\n')
            .map_or(text.len(), |n| edit.end + n);
        let after = format!(
            "{}{}{}",
            &text[from..edit.start],
            edit.with,
            &text[edit.end..to]
        );
        Mutant {
            name: format!("{file}:{line}:{column}:{}", edit.operator),
            operator: edit.operator.into(),
            what: None,
            file: file.into(),
            simd: simd::of_source(file),
            before: text[from..to].into(),
            after,
            edit,
            source: Arc::clone(text),
        }
    }
}

/// All mutants of the sources in `primitives`, those of mutants.toml first.
///
/// # Errors
/// [`crate::Kind::Usage`] where an entry of mutants.toml matches nothing any more.
pub fn all(primitives: &Path, listed: &MutantsFile) -> Result<Vec<Mutant>> {
    let mut texts: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for path in files_below(&primitives.join(KERNELS))? {
        let name = path.strip_prefix(primitives).unwrap_or(&path);
        let text = std::fs::read_to_string(&path).doing(reading(&path))?;
        texts.insert(name.to_string_lossy().into_owned(), text.into());
    }
    let mut mutants = Vec::new();
    for fault in &listed.fault {
        let text = match texts.get(&fault.file) {
            Some(text) => Arc::clone(text),
            None => {
                let path = primitives.join(&fault.file);
                std::fs::read_to_string(&path).doing(reading(&path))?.into()
            }
        };
        let start = fault.place(&text)?;
        let edit = Edit {
            operator: "fault",
            start,
            end: start + fault.find.len(),
            with: fault.with.clone(),
        };
        mutants.push(Mutant {
            name: fault.name.clone(),
            what: Some(fault.what.clone()),
            ..Mutant::new(&fault.file, &text, edit)
        });
    }
    for (file, text) in &texts {
        let found = edits(&Source::new(text)).into_iter();
        mutants.extend(found.map(|edit| Mutant::new(file, text, edit)));
    }
    for equivalent in &listed.equivalent {
        if !mutants.iter().any(|mutant| equivalent.covers(mutant)) {
            let what = format!(
                "no change in {} is one of those that are called equivalent because \"{}\"",
                equivalent.file, equivalent.reason
            );
            return Err(Error::usage(what)
                .doing("reading mutants.toml")
                .hint("the source has changed: correct the entry, or remove it"));
        }
    }
    Ok(mutants)
}

/// Those that a selection wants.
///
/// # Errors
/// [`crate::Kind::Gate`] where there is none: a gate that ran nothing has not passed.
pub fn select(mutants: Vec<Mutant>, selection: &Selection) -> Result<Vec<Mutant>> {
    let wanted = |mutant: &Mutant| match &selection.filter {
        None => true,
        Some(part) => {
            let what = mutant.what.as_deref().unwrap_or_default();
            let named = [mutant.name.as_str(), what, &mutant.operator];
            named.iter().any(|text| text.contains(part.as_str()))
        }
    };
    let mut chosen: Vec<Mutant> = mutants.into_iter().filter(wanted).collect();
    if let Some(size) = selection.sample {
        chosen = sample(chosen, size, selection.seed);
    }
    if chosen.is_empty() {
        return Err(Error::gate("no mutant was selected: nothing was run")
            .hint("`cargo xtask mutants --list` names all of them"));
    }
    Ok(chosen)
}

/// One of each file and operator in turn, in an order that the seed chooses.
fn sample(mutants: Vec<Mutant>, size: usize, seed: u64) -> Vec<Mutant> {
    let key = |name: &str| Sha256::digest(format!("{seed} {name}"));
    let mut groups: BTreeMap<(String, String), Vec<(usize, Mutant)>> = BTreeMap::new();
    for (place, mutant) in mutants.into_iter().enumerate() {
        let group = (mutant.file.clone(), mutant.operator.clone());
        groups.entry(group).or_default().push((place, mutant));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((file, operator), _)| key(&format!("{file} {operator}")));
    for (_, group) in &mut groups {
        group.sort_by_key(|(_, mutant)| key(&mutant.name));
    }
    let most = groups
        .iter()
        .map(|(_, group)| group.len())
        .max()
        .unwrap_or(0);
    let mut chosen = Vec::new();
    for round in 0..most {
        chosen.extend(
            groups
                .iter()
                .filter_map(|(_, group)| group.get(round).cloned()),
        );
    }
    chosen.truncate(size);
    chosen.sort_by_key(|(place, _)| *place);
    chosen.into_iter().map(|(_, mutant)| mutant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    const TEXT: &str = "int f(int a) {\n  return a < 1 ? a + 2 : a;\n}\n";

    fn found(listed: &str) -> Result<Vec<Mutant>> {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "backend/cpu/f.cpp",
            "backend/cpu/simd/avx2.h",
            "indexing.cpp",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, TEXT).unwrap();
        }
        all(dir.path(), &MutantsFile::parse(listed).unwrap())
    }

    #[test]
    fn a_mutant_is_named_by_its_place_and_shows_its_line() {
        let mutants = found("").unwrap();
        let name = "backend/cpu/f.cpp:2:12:compare";
        let mutant = mutants.iter().find(|m| m.name == name).unwrap();
        assert_eq!(mutant.before, "  return a < 1 ? a + 2 : a;");
        assert_eq!(mutant.after, "  return a <= 1 ? a + 2 : a;");
        assert_eq!(mutant.faulty(), TEXT.replace('<', "<="));
        assert_eq!(mutant.simd, None);
        let mut names: Vec<&str> = mutants.iter().map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), mutants.len());
        let avx2 = |m: &&Mutant| m.file.ends_with("avx2.h");
        assert!(mutants.iter().filter(avx2).all(|m| m.simd == Some("avx2")));
    }

    #[test]
    fn faults_with_a_name_come_first_and_equivalents_must_match_something() {
        let fault = "[[fault]]\nname='lost'\nwhat='a sum is lost'\nfile='indexing.cpp'\n\
                     find='a + 2'\nwith='a'\n";
        let mutants = found(fault).unwrap();
        assert_eq!(mutants[0].name, "lost");
        assert_eq!(mutants[0].after, "  return a < 1 ? a : a;");
        let equivalent = |line: &str| {
            format!(
                "[[equivalent]]\nfile='backend/cpu/f.cpp'\nlines=['{line}']\noperators=['compare']\nreason='r'"
            )
        };
        assert!(found(&equivalent("return a < 1 ? a + 2 : a;")).is_ok());
        let error = found(&equivalent("return b;")).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
    }

    #[test]
    fn a_sample_is_the_same_for_a_seed_and_spread_over_files_and_operators() {
        let names = |seed| -> Vec<String> {
            let chosen = select(
                found("").unwrap(),
                &Selection {
                    filter: None,
                    sample: Some(6),
                    seed,
                },
            );
            chosen.unwrap().into_iter().map(|m| m.name).collect()
        };
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
        let operators: std::collections::BTreeSet<String> = names(1)
            .iter()
            .map(|name| format!("{:?}", (name.split(':').next(), name.rsplit(':').next())))
            .collect();
        assert_eq!(operators.len(), 6);
    }

    #[test]
    fn no_mutant_is_a_failed_gate() {
        let selection = Selection {
            filter: Some("no such".into()),
            ..Selection::default()
        };
        let error = select(found("").unwrap(), &selection).unwrap_err();
        assert_eq!(error.kind(), Kind::Gate);
    }
}
