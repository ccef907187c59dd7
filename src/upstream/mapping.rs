//! A feature's files where upstream would have them: what `patches/upstream.toml` says, done
//! in memory. Every line of the overlay goes somewhere, or is named as staying behind.

mod insert;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Doing, Error, Result};
use crate::series::Series;

use super::cpp;
use super::manifest::{Feature, Manifest, Section};

/// A file of upstream's tree that the feature adds or changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What upstream has there.
    pub before: Option<String>,
    /// What it has with the feature.
    pub after: String,
    /// True for mode 100755.
    pub executable: bool,
    /// The overlay's files that it was made from, by their paths in the project.
    pub sources: BTreeSet<String>,
}

impl Change {
    /// The lines, counted from 1, that the feature adds.
    pub fn added_lines(&self) -> Vec<usize> {
        let before: Vec<&str> = self.before.as_deref().unwrap_or("").lines().collect();
        let mut next = 0;
        let mut added = Vec::new();
        for (number, line) in self.after.lines().enumerate() {
            if before.get(next) == Some(&line) {
                next += 1;
            } else {
                added.push(number + 1);
            }
        }
        added
    }
}

/// All of them, by path.
pub type Changes = BTreeMap<String, Change>;

/// An overlay file on its way.
struct File {
    source: String,
    text: String,
    executable: bool,
}

/// Where a file of the overlay goes.
enum Place {
    /// To another path.
    At(String),
    /// Into other files, item by item.
    Apart,
    /// Nowhere.
    Left,
}

/// Puts the feature into the tree that `base` reads (a file's text by its path).
///
/// # Errors
/// [`crate::Kind::Usage`] where the manifest doesn't say what becomes of a file or a line;
/// [`crate::Kind::Conflict`] where upstream's tree lacks what it wants to stand beside, all
/// places at once.
pub fn map(
    series: &Series,
    manifest: &Manifest,
    feature: &str,
    base: &dyn Fn(&str) -> Result<Option<String>>,
) -> Result<Changes> {
    let names = with_required(series, feature)?;
    let rules = rules(manifest, feature, &names)?;
    let mut files = overlay(series, manifest, &names, &rules)?;
    let places = places(&files, &rules)?;
    redirect(&mut files, &places, &rules);
    check_nothing_is_lost(&files, &places, &rules)?;

    let mut changes = Changes::new();
    for (path, file) in &files {
        if let Place::At(to) = &places[path] {
            let new = Change {
                before: base(to)?,
                after: file.text.clone(),
                executable: file.executable,
                sources: BTreeSet::from([file.source.clone()]),
            };
            if new.before.is_some() || changes.insert(to.clone(), new).is_some() {
                return Err(Error::conflict(format!(
                    "{} goes to {to}, and there is a file already",
                    file.source
                ))
                .hint("patches/upstream.toml says where it goes"));
            }
        }
    }
    let mut edit = insert::Edit::new(base, &mut changes);
    for section in rules.iter().flat_map(|rules| &rules.sections) {
        let file = files
            .get(&section.from)
            .ok_or_else(|| Error::usage(format!("{} is no file of the overlay", section.from)))?;
        edit.section(
            section,
            &file.source,
            &items(section, &file.text, &file.source)?,
        )?;
    }
    for line in rules.iter().flat_map(|rules| &rules.lines) {
        edit.line(&line.into, &line.after, &line.lines)?;
    }
    edit.lists(&manifest.lists)?;
    edit.finish()?;
    Ok(changes)
}

/// Refuses a feature that there isn't, or that the manifest has no place for.
///
/// # Errors
/// [`crate::Kind::Usage`] with the names that there are.
pub fn refuse_unknown(series: &Series, manifest: &Manifest, feature: &str) -> Result<()> {
    let names = with_required(series, feature)?;
    rules(manifest, feature, &names).map(drop)
}

/// The feature and all that it requires, in the series' order.
fn with_required(series: &Series, feature: &str) -> Result<Vec<String>> {
    let selected = series.clone().select(&[feature.to_string()])?;
    Ok(selected.selected().map(|f| f.name.clone()).collect())
}

fn rules<'m>(manifest: &'m Manifest, feature: &str, names: &[String]) -> Result<Vec<&'m Feature>> {
    let wanted = manifest.feature.get(feature);
    if wanted.is_none_or(|rules| rules.sections.is_empty()) {
        let known = manifest
            .feature
            .iter()
            .filter(|(_, f)| !f.sections.is_empty());
        let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
        return Err(Error::usage(format!(
            "patches/upstream.toml doesn't say where upstream would have \"{feature}\""
        ))
        .hint(format!("it does for {}", known.join(", "))));
    }
    let of = |name: &String| manifest.feature.get(name);
    Ok(names.iter().filter_map(of).collect())
}

/// The overlay's files without what only the fork needs, by their paths in the fork.
fn overlay(
    series: &Series,
    manifest: &Manifest,
    names: &[String],
    rules: &[&Feature],
) -> Result<BTreeMap<String, File>> {
    let mut files = BTreeMap::new();
    let features = series.features.iter().filter(|f| names.contains(&f.name));
    for overlay in features.flat_map(|feature| &feature.overlay) {
        let doing = || format!("taking {} to upstream's places", overlay.source);
        let text = String::from_utf8(overlay.content.clone())
            .map_err(|_| Error::usage("it is no UTF-8").doing(doing()))?;
        let mut text = text.replace(&manifest.header.ours, &manifest.header.theirs);
        if is_cpp(&overlay.target) {
            text = cpp::without_macros(&text, &manifest.fork_only.macros).doing(doing)?;
            text = cpp::without_statements(&text, &manifest.fork_only.statements).doing(doing)?;
        }
        let omitted = rules.iter().flat_map(|rules| &rules.omit);
        for omit in omitted.filter(|omit| omit.from == overlay.target) {
            for begins in &omit.items {
                let range = cpp::item(&text, begins).doing(doing)?;
                text.replace_range(range, "");
            }
        }
        files.insert(
            overlay.target.clone(),
            File {
                source: overlay.source.clone(),
                text,
                executable: overlay.executable,
            },
        );
    }
    Ok(files)
}

fn is_cpp(path: &str) -> bool {
    [".h", ".cpp", ".metal", ".cu"]
        .iter()
        .any(|end| path.ends_with(end))
}

fn places(files: &BTreeMap<String, File>, rules: &[&Feature]) -> Result<BTreeMap<String, Place>> {
    let mut places = BTreeMap::new();
    let mut homeless = Vec::new();
    for (path, file) in files {
        let fits = |from: &str| path == from || from.ends_with('/') && path.starts_with(from);
        let moves = rules.iter().flat_map(|rules| &rules.moves);
        let best = moves
            .filter(|(from, _)| fits(from))
            .max_by_key(|(from, _)| from.len());
        let sections = || rules.iter().flat_map(|rules| &rules.sections);
        let place = if rules.iter().any(|rules| rules.leave.contains(path)) {
            Place::Left
        } else if sections().any(|section| section.from == *path) {
            Place::Apart
        } else if let Some((from, to)) = best {
            Place::At(format!("{to}{}", &path[from.len()..]))
        } else {
            homeless.push(format!("\n  {} ({path})", file.source));
            continue;
        };
        places.insert(path.clone(), place);
    }
    match homeless.is_empty() {
        true => Ok(places),
        false => Err(Error::usage(format!(
            "patches/upstream.toml doesn't say what becomes of{}",
            homeless.concat()
        ))
        .hint("move them, take them apart (section), or leave them behind (leave)")),
    }
}

/// Makes all texts name the files by where they are now.
fn redirect(
    files: &mut BTreeMap<String, File>,
    places: &BTreeMap<String, Place>,
    rules: &[&Feature],
) {
    let replaced: BTreeMap<&String, &Vec<String>> =
        rules.iter().flat_map(|rules| &rules.include).collect();
    let moved: Vec<(&String, &String)> = places
        .iter()
        .filter_map(|(path, place)| match place {
            Place::At(to) if to != path => Some((path, to)),
            _ => None,
        })
        .collect();
    for file in files.values_mut() {
        let mut text = String::new();
        let mut included = BTreeSet::new();
        for line in file.text.split_inclusive('\n') {
            let name = line
                .strip_prefix("#include \"")
                .and_then(|l| l.split('"').next());
            let Some(name) = name else {
                text.push_str(line);
                continue;
            };
            let others = match (replaced.get(&name.to_string()), places.get(name)) {
                (Some(others), _) => others.to_vec(),
                (None, Some(Place::Left)) => Vec::new(),
                _ => vec![name.to_string()],
            };
            for other in others {
                if included.insert(other.clone()) {
                    text.push_str(&format!("#include \"{other}\"\n"));
                }
            }
        }
        for (from, to) in &moved {
            text = text.replace(from.as_str(), to);
        }
        file.text = text;
    }
}

fn items(section: &Section, text: &str, source: &str) -> Result<Vec<String>> {
    let find = |begins: &String| -> Result<String> {
        let range = cpp::item(text, begins).doing(|| format!("taking {source} apart"))?;
        Ok(text[range].to_string())
    };
    section.items.iter().map(find).collect()
}

/// A line of a file that is taken apart must be in one of its sections.
fn check_nothing_is_lost(
    files: &BTreeMap<String, File>,
    places: &BTreeMap<String, Place>,
    rules: &[&Feature],
) -> Result<()> {
    let apart = |path: &&String| matches!(places[*path], Place::Apart);
    for path in files.keys().filter(apart) {
        let file = &files[path];
        let mut rest = file.text.clone();
        let sections = rules.iter().flat_map(|rules| &rules.sections);
        for begins in sections.filter(|s| s.from == *path).flat_map(|s| &s.items) {
            let range =
                cpp::item(&rest, begins).doing(|| format!("taking {} apart", file.source))?;
            rest.replace_range(range, "");
        }
        let frame: Vec<&String> = rules.iter().flat_map(|rules| &rules.frame).collect();
        let lost = rest.lines().map(str::trim).find(|line| {
            let plain = [
                "#",
                "//",
                "namespace ",
                "using namespace ",
                "} // namespace",
            ];
            !line.is_empty()
                && *line != "}"
                && !plain.iter().any(|begin| line.starts_with(begin))
                && !frame.iter().any(|known| known == line)
        });
        if let Some(line) = lost {
            return Err(Error::usage(format!(
                "no section of patches/upstream.toml takes this line of {}: {line}",
                file.source
            )));
        }
    }
    Ok(())
}
