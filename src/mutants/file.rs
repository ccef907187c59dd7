//! mutants.toml: faults that have a name because no operator makes them, and changes that no
//! test can notice, with the reason. An entry that matches nothing any more is an error.

use std::path::Path;

use serde::Deserialize;

use super::catalogue::Mutant;
use crate::error::{Doing, Error, Result, project_file};

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutantsFile {
    /// Faults with a name.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Changes that change nothing.
    #[serde(default)]
    pub equivalent: Vec<Equivalent>,
}

/// A fault in words, made by replacing a text that stands in its file once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its name, in small letters and hyphens.
    pub name: String,
    /// What goes wrong, in words.
    pub what: String,
    /// The source, by its path in `mlx_primitives`.
    pub file: String,
    /// What is replaced.
    pub find: String,
    /// What takes its place.
    pub with: String,
}

/// Changes that no result shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    /// The source, by its path in `mlx_primitives`.
    pub file: String,
    /// Lines, without the space around them: changes that begin in one of them are meant.
    pub lines: Vec<String>,
    /// Only changes by these operators; all where none is named.
    #[serde(default)]
    pub operators: Vec<String>,
    /// Only changes after which this is in the changed lines.
    pub becomes: Option<String>,
    /// Why nothing shows.
    pub reason: String,
}

impl MutantsFile {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(project_file(path))?;
        Self::parse(&text).doing(|| format!("reading {}", path.display()))
    }

    /// Takes its text apart.
    pub fn parse(text: &str) -> Result<Self> {
        let file: Self = toml::from_str(text).map_err(|e| Error::usage(e.to_string()))?;
        for (at, fault) in file.fault.iter().enumerate() {
            if file.fault[..at]
                .iter()
                .any(|other| other.name == fault.name)
            {
                return Err(Error::usage(format!(
                    "two faults are called {}",
                    fault.name
                )));
            }
        }
        Ok(file)
    }
}

impl Fault {
    /// The one place of the file that it changes.
    pub fn place(&self, text: &str) -> Result<usize> {
        let wrong = match text.matches(&self.find).count() {
            1 if self.find != self.with => return Ok(text.find(&self.find).unwrap_or(0)),
            1 => "replaces a text by itself".to_string(),
            n => format!("finds its text {n} times in {}, not once", self.file),
        };
        Err(Error::usage(format!("the fault {} {wrong}", self.name))
            .doing("reading mutants.toml")
            .hint("the source has changed: say the fault anew in mutants.toml"))
    }
}

impl Equivalent {
    /// True where this is said of the mutant.
    pub fn covers(&self, mutant: &Mutant) -> bool {
        let line = mutant.before.lines().next().unwrap_or_default().trim();
        let in_lines = self.lines.iter().any(|l| l.trim() == line);
        let operator = mutant.operator.as_str();
        self.file == mutant.file
            && in_lines
            && (self.operators.is_empty() || self.operators.iter().any(|o| o == operator))
            && self
                .becomes
                .as_ref()
                .is_none_or(|b| mutant.after.contains(b.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn a_fault_must_find_its_text_once() {
        let fault = |find: &str, with: &str| Fault {
            name: "wrong".into(),
            what: String::new(),
            file: "a.cpp".into(),
            find: find.into(),
            with: with.into(),
        };
        assert_eq!(fault("b", "c").place("ab").unwrap(), 1);
        for (find, with, text) in [("b", "c", "bb"), ("b", "c", "a"), ("b", "b", "b")] {
            let error = fault(find, with).place(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().contains("wrong"), "{error}");
        }
    }

    #[test]
    fn unknown_keys_and_two_faults_of_one_name_are_refused() {
        let fault = "[[fault]]\nname='a'\nwhat=''\nfile=''\nfind=''\nwith=''\n";
        assert_eq!(MutantsFile::parse(fault).unwrap().fault.len(), 1);
        let twice = format!("{fault}{fault}");
        for text in [twice.as_str(), "[[fault]]\nnom='a'", "[[equal]]"] {
            assert_eq!(MutantsFile::parse(text).unwrap_err().kind(), Kind::Usage);
        }
    }
}
