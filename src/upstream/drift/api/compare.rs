//! What the overlay needs of MLX, as the pin declares it, against what other commits declare.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use super::declared::Declared;
use super::headers::{Headers, Shelf};
use super::used::Used;
use crate::error::Result;
use crate::git::trees::Trees;
use crate::series::Series;
use crate::upstream::drift::{Commits, Point};

/// Something that a build of the overlay would miss.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Missing {
    /// In which way.
    pub what: Miss,
    /// The header of MLX that has it on the pin.
    pub header: String,
    /// The full name; empty for a header.
    pub name: String,
    /// The declarations on the pin that are not there.
    pub was: Vec<String>,
    /// What is declared under this name instead; for a name that is gone, in other scopes.
    pub is: Vec<String>,
    /// The sources of the overlay that use it.
    pub users: Vec<String>,
    /// True where a build of the extension takes it from libmlx: no guess.
    pub imported: bool,
}

/// In which way something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// The header is gone.
    Header,
    /// Nothing declares the name.
    Name,
    /// It is declared otherwise: a use of it may not compile.
    Changed,
}

/// What the overlay would miss, and where.
#[derive(Debug, Clone, Serialize)]
pub struct Api {
    /// How many headers of MLX the overlay includes.
    pub headers: usize,
    /// How many names of them it seems to use.
    pub names: usize,
    /// How many of these a build of the extension is known to import; `None` without one.
    pub imported: Option<usize>,
    /// What is missing, each once.
    pub missing: Vec<(Missing, Vec<Span>)>,
}

/// Neighbouring commits.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// The first one.
    pub first: Point,
    /// The last one.
    pub last: Point,
    /// How many.
    pub commits: usize,
}

/// What the overlay needs.
#[derive(Debug)]
pub struct Needs {
    /// Headers of MLX, and which sources include them.
    headers: BTreeMap<String, BTreeSet<String>>,
    /// Names by their scope.
    names: BTreeMap<(String, String), Need>,
    imports: bool,
}

#[derive(Debug, Default)]
struct Need {
    header: String,
    /// As it is shown, by what it means.
    declared: BTreeMap<String, String>,
    users: BTreeSet<String>,
    imported: bool,
}

/// One source of the overlay.
struct OverlaySource {
    source: String,
    used: Used,
    includes: Vec<String>,
}

impl Needs {
    /// What the overlay of `series` needs, by the headers of its pin. `imports` are the names
    /// that a build of the extension takes from libmlx, where there is one.
    pub fn of(series: &Series, base: &Point, imports: Option<&[String]>) -> Result<Self> {
        let trees = Trees::open(&base.repository)?;
        let tree = trees.of_commit(&base.upstream.id)?;
        let shelf = Shelf::default();
        let overlay = overlay(series);
        let mut needs = Needs {
            headers: BTreeMap::new(),
            names: BTreeMap::new(),
            imports: imports.is_some(),
        };
        let mut all = Headers::new();
        for source in overlay.values() {
            // Through the overlay's own headers too.
            let wanted = of_mlx(source, &overlay);
            for header in source.includes.iter().filter(|h| wanted.contains(*h)) {
                let users = needs.headers.entry(header.clone()).or_default();
                users.insert(source.source.clone());
            }
            let headers = shelf.closure(&trees, tree, wanted.iter())?;
            let mut reached: BTreeSet<String> = source.used.words().cloned().collect();
            // Twice: an object may come from a function that comes from another's.
            for _ in 0..2 {
                reached.extend(needs.uses(source, &headers, &reached));
            }
            all.extend(headers);
        }
        for name in imports.into_iter().flatten() {
            needs.import(name, &all);
        }
        Ok(needs)
    }

    /// Notes the declarations that a source uses; the words in them.
    fn uses(
        &mut self,
        source: &OverlaySource,
        headers: &Headers,
        reached: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (path, declared) in each(headers) {
            if !source.used.uses(declared, reached) {
                continue;
            }
            words.extend(declared.key.split(' ').map(str::to_string));
            let need = self.need(path, declared);
            need.users.insert(source.source.clone());
        }
        words
    }

    fn need(&mut self, path: &str, declared: &Declared) -> &mut Need {
        let key = (declared.scope.clone(), declared.name.clone());
        let need = self.names.entry(key).or_default();
        need.header = path.to_string();
        need.declared
            .insert(declared.key.clone(), declared.text.clone());
        need
    }

    /// `mlx::core::array::eval()`, `typeinfo for mlx::core::Primitive`.
    fn import(&mut self, import: &str, headers: &Headers) {
        let name = import.rsplit(" for ").next().unwrap_or(import);
        let name = name.trim_start_matches("{vtable(").trim_end_matches(")}");
        let end = name.find(['(', '<']).unwrap_or(name.len());
        let Some((scope, name)) = name[..end].rsplit_once("::") else {
            return;
        };
        let meant = |d: &Declared| d.scope == scope && d.name == name;
        for (path, declared) in each(headers).filter(|(_, declared)| meant(declared)) {
            self.need(path, declared).imported = true;
        }
    }

    /// What a commit's headers lack.
    fn missing(&self, trees: &Trees, commit: &str, shelf: &Shelf) -> Result<BTreeSet<Missing>> {
        let tree = trees.of_commit(commit)?;
        let headers = shelf.closure(trees, tree, self.headers.keys())?;
        let mut missing = BTreeSet::new();
        for (header, users) in &self.headers {
            if !headers.contains_key(header) {
                missing.insert(Missing {
                    what: Miss::Header,
                    header: header.clone(),
                    name: String::new(),
                    was: Vec::new(),
                    is: Vec::new(),
                    users: users.iter().cloned().collect(),
                    imported: false,
                });
            }
        }
        let mut there: BTreeMap<&str, Vec<&Declared>> = BTreeMap::new();
        for (_, declared) in each(&headers) {
            there.entry(&declared.name).or_default().push(declared);
        }
        for ((scope, name), need) in &self.names {
            let same = there.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            let (here, elsewhere): (Vec<&Declared>, Vec<&Declared>) =
                same.iter().copied().partition(|d| d.scope == *scope);
            let now: BTreeSet<&String> = here.iter().map(|d| &d.key).collect();
            let gone = need.declared.iter().filter(|(key, _)| !now.contains(key));
            let was: Vec<String> = gone.map(|(_, text)| text.clone()).collect();
            if was.is_empty() {
                continue;
            }
            let is: BTreeSet<String> = match here.is_empty() {
                true => elsewhere
                    .iter()
                    .map(|d| format!("{}: {}", d.scope, d.text))
                    .collect(),
                false => here
                    .iter()
                    .filter(|d| !need.declared.contains_key(&d.key))
                    .map(|d| d.text.clone())
                    .collect(),
            };
            missing.insert(Missing {
                what: if here.is_empty() {
                    Miss::Name
                } else {
                    Miss::Changed
                },
                header: need.header.clone(),
                name: match scope.as_str() {
                    "" => name.clone(),
                    scope => format!("{scope}::{name}"),
                },
                was,
                is: is.into_iter().collect(),
                users: need.users.iter().cloned().collect(),
                imported: need.imported,
            });
        }
        Ok(missing)
    }

    /// What each commit lacks, and through which of them.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] where a commit or a header can't be read.
    pub fn against(&self, commits: &Commits) -> Result<Api> {
        let shelf = Shelf::default();
        let some = commits
            .points
            .len()
            .div_ceil(rayon::current_num_threads() * 4)
            .max(1);
        let parts: Result<Vec<Vec<BTreeSet<Missing>>>> = commits
            .points
            .par_chunks(some)
            .map(|points| {
                let mut open: Option<(&Point, Trees)> = None;
                let mut all = Vec::new();
                for point in points {
                    let trees = match open.take() {
                        Some((last, trees)) if last.repository == point.repository => trees,
                        _ => Trees::open(&point.repository)?,
                    };
                    all.push(self.missing(&trees, &point.upstream.id, &shelf)?);
                    open = Some((point, trees));
                }
                Ok(all)
            })
            .collect();
        let by_commit: Vec<BTreeSet<Missing>> = parts?.into_iter().flatten().collect();
        let each: BTreeSet<&Missing> = by_commit.iter().flatten().collect();
        let missing = each.into_iter().map(|missing| {
            let lacks: Vec<bool> = by_commit.iter().map(|all| all.contains(missing)).collect();
            (missing.clone(), spans(commits, &lacks))
        });
        let imported = self.names.values().filter(|need| need.imported).count();
        Ok(Api {
            headers: self.headers.len(),
            names: self.names.len(),
            imported: self.imports.then_some(imported),
            missing: missing.collect(),
        })
    }
}

fn each(headers: &Headers) -> impl Iterator<Item = (&String, &Declared)> {
    let each = headers.iter();
    each.flat_map(|(path, header)| header.declared.iter().map(move |d| (path, d)))
}

/// Commits beside each other in a range; outside one each for itself.
fn spans(commits: &Commits, lacks: &[bool]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut open = false;
    for (point, lacks) in commits.points.iter().zip(lacks) {
        match spans.last_mut() {
            Some(span) if *lacks && open && commits.is_range => {
                span.last = point.clone();
                span.commits += 1;
            }
            _ if *lacks => spans.push(Span {
                first: point.clone(),
                last: point.clone(),
                commits: 1,
            }),
            _ => {}
        }
        open = *lacks;
    }
    spans
}

/// The overlay's sources in C++ and Metal, by where they stand in MLX's tree.
fn overlay(series: &Series) -> BTreeMap<String, OverlaySource> {
    let files = series.features.iter().flat_map(|feature| &feature.overlay);
    let code = files.filter(|file| {
        let endings = [".cpp", ".h", ".metal", ".inc"];
        endings.iter().any(|ending| file.target.ends_with(ending))
    });
    let read = code.map(|file| {
        let text = String::from_utf8_lossy(&file.content);
        let source = OverlaySource {
            source: file.source.clone(),
            used: Used::read(&text),
            includes: super::declared::Header::parse(&text).includes,
        };
        (file.target.clone(), source)
    });
    read.collect()
}

/// The headers of MLX that a source includes, itself or through other files of the overlay.
fn of_mlx(source: &OverlaySource, overlay: &BTreeMap<String, OverlaySource>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = source.includes.iter().collect();
    while let Some(path) = open.pop() {
        if !seen.insert(path) {
            continue;
        }
        match overlay.get(path) {
            Some(own) => open.extend(&own.includes),
            None if path.starts_with("mlx/") => {
                found.insert(path.clone());
            }
            None => {}
        }
    }
    found
}
