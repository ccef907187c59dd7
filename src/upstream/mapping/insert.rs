//! Text put into upstream's files, beside what stands there. Nothing is ever replaced.

use std::collections::BTreeSet;

use crate::error::{Doing, Error, Result};

use super::super::cpp;
use super::super::manifest::{List, Section};
use super::{Change, Changes};

/// Insertions being made; what doesn't fit is collected, so that all of it is told at once.
pub struct Edit<'a> {
    base: &'a dyn Fn(&str) -> Result<Option<String>>,
    changes: &'a mut Changes,
    misfits: Vec<String>,
}

impl<'a> Edit<'a> {
    pub fn new(base: &'a dyn Fn(&str) -> Result<Option<String>>, changes: &'a mut Changes) -> Self {
        Edit {
            base,
            changes,
            misfits: Vec::new(),
        }
    }

    /// Puts `items` beside the item that the section names.
    pub fn section(&mut self, section: &Section, source: &str, items: &[String]) -> Result<()> {
        let mut text = items.join("\n");
        if section.anonymous {
            text = format!("namespace {{\n\n{text}\n}} // namespace\n");
        }
        self.edit(&section.into, |after, sources| {
            sources.insert(source.to_string());
            match (&section.after, &section.before) {
                (Some(anchor), _) => {
                    let at = cpp::item(after, anchor)?.end;
                    after.insert_str(at, &format!("\n{text}"));
                }
                (None, Some(anchor)) => {
                    let at = cpp::item(after, anchor)?.start;
                    after.insert_str(at, &format!("{text}\n"));
                }
                (None, None) => return Err(Error::bug("a section without a place")),
            }
            section
                .includes
                .iter()
                .try_for_each(|name| include(after, name))
        })
    }

    /// Puts lines below the one line that says `after`, indented as it is.
    pub fn line(&mut self, into: &str, after: &str, lines: &[String]) -> Result<()> {
        self.edit(into, |text, _| below(text, after, lines))
    }

    /// Gives each new `.cpp` a row in the list of the nearest folder above it.
    pub fn lists(&mut self, lists: &[List]) -> Result<()> {
        let new = self
            .changes
            .iter()
            .filter(|(_, change)| change.before.is_none());
        let sources: Vec<String> = new
            .map(|(path, _)| path.clone())
            .filter(|path| path.ends_with(".cpp"))
            .collect();
        let folder = |list: &List| {
            list.file
                .rsplit_once('/')
                .map_or("", |(f, _)| f)
                .to_string()
        };
        let mut left: BTreeSet<String> = sources.iter().cloned().collect();
        let mut lists: Vec<&List> = lists.iter().collect();
        lists.sort_by_key(|list| std::cmp::Reverse(folder(list).len()));
        for list in lists {
            let folder = format!("{}/", folder(list));
            let here: Vec<String> = left
                .iter()
                .filter(|path| path.starts_with(&folder))
                .cloned()
                .collect();
            left.retain(|path| !here.contains(path));
            let rows: Vec<String> = here
                .iter()
                .map(|path| list.row.replace("{}", &path[folder.len()..]))
                .collect();
            if !rows.is_empty() {
                self.line(&list.file, &list.after, &rows)?;
            }
        }
        match left.first() {
            None => Ok(()),
            Some(path) => Err(Error::usage(format!(
                "no list of patches/upstream.toml builds {path}"
            ))),
        }
    }

    /// An error that names all that didn't fit, if anything didn't.
    pub fn finish(self) -> Result<()> {
        if self.misfits.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = self.misfits.iter().map(|m| format!("\n  {m}")).collect();
        Err(Error::conflict(format!(
            "{} place(s) that patches/upstream.toml names aren't in upstream's tree as it says{}",
            self.misfits.len(),
            list.concat()
        ))
        .hint("name a place in patches/upstream.toml that this tree has, too"))
    }

    fn edit(
        &mut self,
        path: &str,
        edit: impl FnOnce(&mut String, &mut BTreeSet<String>) -> Result<()>,
    ) -> Result<()> {
        if !self.changes.contains_key(path) {
            let Some(text) = (self.base)(path)? else {
                self.misfits.push(format!("{path}: there is no such file"));
                return Ok(());
            };
            let change = Change {
                before: Some(text.clone()),
                after: text,
                executable: false,
                sources: BTreeSet::new(),
            };
            self.changes.insert(path.to_string(), change);
        }
        let Some(change) = self.changes.get_mut(path) else {
            return Ok(());
        };
        match edit(&mut change.after, &mut change.sources) {
            Err(error) if error.kind() == crate::Kind::Usage => {
                self.misfits.push(format!("{path}: {}", error.what()));
                Ok(())
            }
            other => other.doing(|| format!("changing {path}")),
        }
    }
}

/// Adds an include behind the last one of its kind (`<system>`, or MLX's by its path); sorting
/// is the formatter's.
fn include(text: &mut String, name: &str) -> Result<()> {
    let (row, kind) = match name.starts_with('<') {
        true => (format!("#include {name}\n"), "#include <"),
        false => (format!("#include \"{name}\"\n"), "#include \"mlx/"),
    };
    if text.contains(&row) {
        return Ok(());
    }
    let mut at = 0;
    let mut behind = None;
    for line in text.split_inclusive('\n') {
        at += line.len();
        if line.starts_with(kind) {
            behind = Some(at);
        }
    }
    let behind = behind.ok_or_else(|| Error::usage(format!("no line begins with `{kind}`")))?;
    text.insert_str(behind, &row);
    Ok(())
}

fn below(text: &mut String, after: &str, lines: &[String]) -> Result<()> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        at += line.len();
        if line.trim() == after {
            found.push((at, &line[..line.len() - line.trim_start().len()]));
        }
    }
    match found[..] {
        [(at, indent)] => {
            let rows: Vec<String> = lines.iter().map(|row| format!("{indent}{row}\n")).collect();
            text.insert_str(at, &rows.concat());
            Ok(())
        }
        [] => Err(Error::usage(format!("no line says `{after}`"))),
        _ => Err(Error::usage(format!("{} lines say `{after}`", found.len()))),
    }
}
