//! Rules about the text of what upstream would get. No build, no tool, no file on disk.

use regex::Regex;

use crate::error::{Error, Result};
use crate::git::branch::FileStat;

use super::super::manifest::Manifest;
use super::super::mapping::{Change, Changes};
use super::super::prepare::Prepared;
use super::{Finding, Outcome, Verdict};

/// What the rules look at.
pub struct Subject<'a> {
    /// What the feature adds and changes.
    pub changes: &'a Changes,
    /// Words and limits.
    pub manifest: &'a Manifest,
    /// Its functions in Python.
    pub functions: Vec<String>,
    /// The first line of one of upstream's headers.
    pub header: String,
    /// Upstream's bindings, for the way in which it writes signatures.
    pub bindings: String,
}

impl<'a> Subject<'a> {
    /// Of a prepared feature.
    pub fn of(prepared: &'a Prepared) -> Result<Self> {
        let features = &prepared.series.features;
        let feature = features.iter().find(|f| f.name == prepared.feature);
        let feature = feature.ok_or_else(|| Error::bug("a feature that is not in the series"))?;
        let text = |path: &str| Ok::<_, Error>(prepared.base.text(path)?.unwrap_or_default());
        Ok(Subject {
            changes: &prepared.changes,
            manifest: &prepared.manifest,
            functions: feature.probes.python.clone(),
            header: text("mlx/ops.h")?.lines().next().unwrap_or_default().into(),
            bindings: text("python/src/ops.cpp")?,
        })
    }

    /// New sources begin with the line that upstream's begin with.
    pub fn headers(&self) -> Result<Outcome> {
        let shape = Regex::new(r"^// (Copyright © )[0-9]{4}(?:-[0-9]{4})?( .+)$");
        let shape = shape.map_err(|e| Error::bug(e.to_string()))?;
        let Some(parts) = shape.captures(&self.header) else {
            return Ok(Outcome::not_checked(format!(
                "upstream's mlx/ops.h begins with no line about copyright: {}",
                self.header
            )));
        };
        let wanted = |comment: &str| {
            let (begin, end) = (regex::escape(&parts[1]), regex::escape(&parts[2]));
            let line = format!("^{comment} {begin}[0-9]{{4}}(-[0-9]{{4}})?{end}$");
            Regex::new(&line).map_err(|e| Error::bug(e.to_string()))
        };
        let (cpp, python) = (wanted("//")?, wanted("#")?);
        let mut findings = Vec::new();
        let mut seen = 0;
        for (path, change) in self.new_files() {
            let line = match path.rsplit('.').next() {
                Some("h" | "cpp" | "metal" | "cu") => &cpp,
                Some("py") => &python,
                _ => continue,
            };
            seen += 1;
            let first = change.after.lines().next().unwrap_or_default();
            if !line.is_match(first) {
                let what = format!("begins with `{first}`, upstream's with `{}`", self.header);
                findings.push(Finding::at(path, 1, what));
            }
        }
        Ok(Outcome::of(
            findings,
            format!("{seen} new files"),
            "`header` in patches/upstream.toml names our line and theirs",
        ))
    }

    /// No new line or path names this project.
    pub fn names(&self) -> Outcome {
        let mut findings = Vec::new();
        let names = || self.manifest.names.iter();
        let has = |text: &str, name: &str| text.to_lowercase().contains(&name.to_lowercase());
        for (path, change) in self.changes {
            for name in names().filter(|name| has(path, name)) {
                findings.push(Finding::of_file(path, format!("its path has {name}")));
            }
            for (number, line) in added(change) {
                if let Some(name) = names().find(|name| has(line, name)) {
                    findings.push(Finding::at(
                        path,
                        number,
                        format!("has {name}: {}", line.trim()),
                    ));
                }
            }
        }
        Outcome::of(
            findings,
            format!("none of {} in any line", self.manifest.names.join(", ")),
            "take it out of the overlay, or leave it behind (patches/upstream.toml: leave, omit, fork-only)",
        )
    }

    /// Each function has a row in a list of the documentation.
    pub fn docs(&self) -> Outcome {
        let in_docs = |path: &str| path.starts_with("docs/") && path.ends_with(".rst");
        let pages = self.changes.iter().filter(|(path, _)| in_docs(path));
        let rows: Vec<&str> = pages
            .flat_map(|(_, change)| added(change))
            .map(|(_, l)| l.trim())
            .collect();
        let missing = self
            .functions
            .iter()
            .filter(|name| !rows.contains(&name.as_str()));
        let findings = missing
            .map(|name| Finding::of_file("docs/src/python/ops.rst", format!("no row {name}")));
        Outcome::of(
            findings.collect(),
            self.functions.join(", "),
            "a `line` of patches/upstream.toml puts it there",
        )
    }

    /// Each function says its signature, in upstream's way of writing types.
    pub fn signatures(&self) -> Outcome {
        let old = ["Optional[", "Union["];
        let out_of_use: Vec<&str> = old
            .into_iter()
            .filter(|word| !self.bindings.contains(word))
            .collect();
        let mut findings = Vec::new();
        let sources = || {
            self.changes
                .iter()
                .filter(|(path, _)| path.starts_with("python/src/"))
        };
        for name in &self.functions {
            let start = format!("\"def {name}(");
            let lines = sources()
                .flat_map(|(path, change)| added(change).into_iter().map(move |l| (path, l)));
            let found = lines
                .into_iter()
                .find(|(_, (_, line))| line.trim().starts_with(&start));
            match found {
                None => findings.push(Finding::of_file(
                    "python/src/ops.cpp",
                    format!("no nb::sig for {name}: the stub would show C++ types"),
                )),
                Some((path, (number, line))) => {
                    for word in out_of_use.iter().filter(|word| line.contains(**word)) {
                        let what =
                            format!("{name}: {word}…] where upstream's signatures have none");
                        findings.push(Finding::at(path, number, what));
                    }
                }
            }
        }
        Outcome::of(
            findings,
            "nb::sig as upstream writes it; its stubs come from nanobind's generator",
            "write the signature as the functions around it do",
        )
    }

    /// The primitive is in the table of those that can be exported, and a test exports it.
    pub fn export(&self) -> Outcome {
        let rows = self
            .changes
            .get("mlx/export.cpp")
            .map(added)
            .unwrap_or_default();
        let row = rows
            .iter()
            .find(|(_, line)| line.trim().starts_with("SERIALIZE_PRIMITIVE("));
        let tests: Vec<&String> = self
            .changes
            .iter()
            .filter(|(path, _)| path.starts_with("python/tests/"))
            .filter(|(_, change)| change.after.contains("export_function("))
            .map(|(path, _)| path)
            .collect();
        let mut findings = Vec::new();
        if row.is_none() {
            findings.push(Finding::of_file(
                "mlx/export.cpp",
                "no row SERIALIZE_PRIMITIVE(…)",
            ));
        }
        if tests.is_empty() {
            findings.push(Finding::of_file(
                "python/tests",
                "no test calls mx.export_function",
            ));
        }
        let row = row.map_or("", |(_, line)| line.trim());
        Outcome::of(
            findings,
            row,
            "upstream's table is closed: each primitive needs its row and a test",
        )
    }

    /// How much it is.
    pub fn size(&self, stat: &[FileStat]) -> Outcome {
        let added: usize = stat.iter().map(|file| file.added).sum();
        let removed: usize = stat.iter().map(|file| file.removed).sum();
        let note = format!(
            "{} files, {added} lines added, {removed} removed",
            stat.len()
        );
        if added <= self.manifest.budget {
            return Outcome::ok(note);
        }
        let mut largest: Vec<&FileStat> = stat.iter().collect();
        largest.sort_by_key(|file| std::cmp::Reverse(file.added));
        Outcome {
            verdict: Verdict::Warning,
            note: format!(
                "{note}: more than the {} of patches/upstream.toml; smaller parts are easier to review",
                self.manifest.budget
            ),
            findings: largest
                .iter()
                .take(5)
                .map(|file| Finding::of_file(&file.path, format!("{} lines", file.added)))
                .collect(),
        }
    }

    fn new_files(&self) -> impl Iterator<Item = (&String, &Change)> {
        self.changes
            .iter()
            .filter(|(_, change)| change.before.is_none())
    }
}

/// The lines that a change adds, with their numbers.
fn added(change: &Change) -> Vec<(usize, &str)> {
    let numbers = change.added_lines();
    let lines: Vec<&str> = change.after.lines().collect();
    numbers.into_iter().map(|n| (n, lines[n - 1])).collect()
}
