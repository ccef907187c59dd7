//! The journal: what an operation changes, recorded whole before any of it is written, and
//! kept, so that a killed run is finished and a finished one can be undone.
//!
//! Order: the record; the reference [`PENDING`]; the project's files; `mlx_local`; the open
//! session; the reference [`LOG`]; no [`PENDING`]. Wherever a kill falls, either nothing was
//! begun or [`recover`] does the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::git::local::{self, State};
use crate::git::record::{self, Files};
use crate::git::refs::{self, IndexLock};
use crate::git::{Oid, Repository};
use crate::layout::Layout;
use crate::manager::project::{self, Write, Writes};
use crate::manager::{id, session};

/// The operation that is being carried out.
pub const PENDING: &str = "refs/mlx-fork/pending";
/// The last finished operation.
pub const LOG: &str = "refs/mlx-fork/log";

/// Where `mlx_local` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Its files.
    pub state: State,
    /// The record of the open session.
    pub session: Option<Oid>,
}

/// An operation.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is, as a person typed it.
    pub what: String,
    /// When, seconds since 1970.
    pub time: u64,
    /// True where it stands in the log: one that only opened or ended a session doesn't.
    pub logged: bool,
    /// What it changes in the project.
    pub writes: Writes,
    /// Where `mlx_local` is as this is carried out.
    pub before: Local,
    /// Where `undo` brings it back to.
    pub origin: Local,
    /// Where it goes.
    pub after: Local,
    /// The operation that `undo` undoes next when this is the last; `None`: this one itself.
    pub next_undo: Option<NextUndo>,
    /// The operations that `redo` does again, the next one last.
    pub redo: Vec<Oid>,
    /// The one before it in the log.
    pub previous: Option<Oid>,
}

/// What a further `undo` does after an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextUndo {
    /// Undoes this operation.
    Of(Oid),
    /// There is nothing left.
    Nothing,
}

/// How a record says that there is nothing left to undo.
const NOTHING: &str = "nothing";

#[derive(Serialize, Deserialize)]
struct Text {
    what: String,
    time: u64,
    logged: bool,
    /// Each file, and whether it was there before and is there after.
    files: BTreeMap<String, (bool, bool)>,
    before: Place,
    origin: Place,
    after: Place,
    /// An id, or [`NOTHING`].
    next_undo: Option<String>,
    redo: Vec<String>,
    previous: Option<String>,
}

/// A [`Local`] as records have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    shown: String,
    worktree: Option<String>,
    session: Option<String>,
}

impl Place {
    /// Of a state.
    pub fn of(local: &Local) -> Self {
        Place {
            shown: local.state.shown.to_string(),
            worktree: local.state.worktree.map(|id| id.to_string()),
            session: local.session.map(|id| id.to_string()),
        }
    }

    /// The state.
    pub fn local(&self) -> Result<Local> {
        let maybe = |text: &Option<String>| text.as_deref().map(id).transpose();
        Ok(Local {
            state: State {
                shown: id(&self.shown)?,
                worktree: maybe(&self.worktree)?,
            },
            session: maybe(&self.session)?,
        })
    }
}

impl Entry {
    /// An operation that is to be carried out now.
    pub fn new(
        repo: &Repository,
        what: String,
        writes: Writes,
        before: Local,
        after: Local,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Entry {
            what,
            time: now.map_or(0, |now| now.as_secs()),
            logged: true,
            writes,
            before,
            origin: before,
            after,
            next_undo: None,
            redo: Vec::new(),
            previous: record::at(repo, LOG),
        }
    }

    fn write(&self, repo: &Repository) -> Result<Oid> {
        let mut files = Files::new();
        let mut there = BTreeMap::new();
        for (path, write) in &self.writes {
            for (side, content) in [("before", &write.before), ("after", &write.after)] {
                if let Some(content) = content {
                    files.insert(format!("{side}/{path}"), content.clone());
                }
            }
            there.insert(
                path.clone(),
                (write.before.is_some(), write.after.is_some()),
            );
        }
        let text = Text {
            what: self.what.clone(),
            time: self.time,
            logged: self.logged,
            files: there,
            before: Place::of(&self.before),
            origin: Place::of(&self.origin),
            after: Place::of(&self.after),
            next_undo: self.next_undo.map(|next| match next {
                NextUndo::Of(id) => id.to_string(),
                NextUndo::Nothing => NOTHING.into(),
            }),
            redo: self.redo.iter().map(ToString::to_string).collect(),
            previous: self.previous.map(|id| id.to_string()),
        };
        let text = serde_json::to_string(&text).map_err(|e| Error::bug(e.to_string()))?;
        let mut keeps: Vec<Oid> = self.previous.into_iter().collect();
        for local in [&self.before, &self.origin, &self.after] {
            keeps.push(local.state.shown);
            keeps.extend(local.state.worktree);
            keeps.extend(local.session);
        }
        record::write(repo, &text, &files, &keeps)
    }

    /// Reads the record of an operation.
    pub fn read(repo: &Repository, at: Oid) -> Result<Self> {
        let (text, mut files) = record::read(repo, at)?;
        let text: Text = serde_json::from_str(&text)
            .map_err(|e| Error::bug(format!("the record {at} can't be read: {e}")))?;
        let mut writes = Writes::new();
        for (path, (before, after)) in text.files {
            let mut content = |side: &str, there: bool| {
                let found = files.remove(&format!("{side}/{path}"));
                there.then(|| found.unwrap_or_default())
            };
            let write = Write {
                before: content("before", before),
                after: content("after", after),
            };
            writes.insert(path, write);
        }
        let maybe = |text: &Option<String>| text.as_deref().map(id).transpose();
        Ok(Entry {
            what: text.what,
            time: text.time,
            logged: text.logged,
            writes,
            before: text.before.local()?,
            origin: text.origin.local()?,
            after: text.after.local()?,
            next_undo: match text.next_undo.as_deref() {
                None => None,
                Some(NOTHING) => Some(NextUndo::Nothing),
                Some(of) => Some(NextUndo::Of(id(of)?)),
            },
            redo: text
                .redo
                .iter()
                .map(|text| id(text))
                .collect::<Result<_>>()?,
            previous: maybe(&text.previous)?,
        })
    }
}

/// Refuses what would stop an operation half way.
///
/// # Errors
/// [`crate::Kind::Conflict`] where a file of the project isn't what the operation was planned
/// with, or git is at work in `mlx_local`.
pub fn check(layout: &Layout, repo: &Repository, entry: &Entry) -> Result<()> {
    project::check(layout, &entry.writes)?;
    match IndexLock::held_by_other(repo) {
        Some(what) => Err(Error::conflict(what)
            .hint("wait for that command; if none runs: rm mlx_local/.git/index.lock")),
        None => Ok(()),
    }
}

/// Carries an operation out that was checked. Gives the files of `mlx_local` that somebody
/// changed meanwhile, and that were left as they are.
pub fn commit(layout: &Layout, repo: &Repository, entry: &Entry) -> Result<Vec<PathBuf>> {
    let record = entry.write(repo)?;
    refs::set_for_good(repo, PENDING, record)?;
    let (_, left) = carry_out(layout, repo, record, entry).map_err(|error| {
        error.hint(format!(
            "`{}` is recorded whole: any `cargo xtask patch` finishes it once that is mended",
            entry.what
        ))
    })?;
    Ok(left)
}

fn carry_out(
    layout: &Layout,
    repo: &Repository,
    record: Oid,
    entry: &Entry,
) -> Result<(Vec<String>, Vec<PathBuf>)> {
    let kept = project::write(layout, &entry.writes)?;
    let left = local::arrive(layout, entry.before.state, entry.after.state)?;
    match entry.after.session {
        Some(session) => refs::set(repo, session::REFERENCE, session)?,
        None => refs::delete(repo, session::REFERENCE)?,
    }
    if entry.logged {
        refs::set(repo, LOG, record)?;
    }
    refs::delete(repo, PENDING)?;
    Ok((kept, left))
}

/// What finishing a killed run came to.
#[derive(Debug)]
pub struct Recovered {
    what: String,
    kept: Vec<String>,
    left: Vec<PathBuf>,
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "finished `{}`, which was interrupted", self.what)?;
        for path in &self.kept {
            write!(f, "\n  {path} was changed since, and is left as it is")?;
        }
        for path in &self.left {
            write!(
                f,
                "\n  mlx_local/{} was changed since, and is left as it is",
                path.display()
            )?;
        }
        Ok(())
    }
}

/// Finishes an operation that was interrupted; `None` where none was.
pub fn recover(layout: &Layout, repo: &Repository) -> Result<Option<Recovered>> {
    let Some(record) = record::at(repo, PENDING) else {
        return Ok(None);
    };
    let entry = Entry::read(repo, record)?;
    let (kept, left) = carry_out(layout, repo, record, &entry)
        .doing(|| format!("finishing `{}`, which was interrupted", entry.what))?;
    Ok(Some(Recovered {
        what: entry.what,
        kept,
        left,
    }))
}

/// An operation of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its record.
    pub id: String,
    /// What it was.
    pub what: String,
    /// When, seconds since 1970.
    pub time: u64,
    /// Files of the project that it changed.
    pub files: Vec<String>,
}

/// The last operations, newest first.
pub fn log(repo: &Repository, most: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut at = record::at(repo, LOG);
    while let Some(id) = at.filter(|_| rows.len() < most) {
        let entry = Entry::read(repo, id)?;
        rows.push(Row {
            id: id.to_string(),
            what: entry.what,
            time: entry.time,
            files: entry.writes.into_keys().collect(),
        });
        at = entry.previous;
    }
    Ok(rows)
}

/// The operation that undoes the last one that isn't undone, not carried out yet; and the
/// answers to conflicts that came with that one, which stay in the project.
///
/// # Errors
/// [`crate::Kind::Usage`] where there is none.
pub fn undo(repo: &Repository, now: Local) -> Result<(Entry, Vec<String>)> {
    let nothing = || Error::usage("there is nothing to undo");
    let last = record::at(repo, LOG).ok_or_else(nothing)?;
    let last_entry = Entry::read(repo, last)?;
    let target = match last_entry.next_undo {
        None => last,
        Some(NextUndo::Of(id)) => id,
        Some(NextUndo::Nothing) => return Err(nothing()),
    };
    let undone = Entry::read(repo, target)?;
    let next = match undone.previous {
        None => NextUndo::Nothing,
        Some(previous) => match Entry::read(repo, previous)?.next_undo {
            None => NextUndo::Of(previous),
            Some(next) => next,
        },
    };
    let (answers, writes): (Writes, Writes) = undone
        .writes
        .into_iter()
        .partition(|(path, _)| project::is_answer(path));
    let turned = writes
        .into_iter()
        .map(|(path, write)| (path, write.turned()));
    let mut entry = Entry::new(
        repo,
        format!("undo {}", undone.what),
        turned.collect(),
        now,
        undone.origin,
    );
    entry.next_undo = Some(next);
    entry.redo = last_entry.redo;
    entry.redo.push(target);
    Ok((entry, answers.into_keys().collect()))
}

/// The operation that does again what the last undo undid, not carried out yet.
///
/// # Errors
/// [`crate::Kind::Usage`] where the last operation was no undo.
pub fn redo(repo: &Repository, now: Local) -> Result<Entry> {
    let nothing = || Error::usage("there is nothing to redo: the last operation was no undo");
    let last = record::at(repo, LOG).ok_or_else(nothing)?;
    let mut redo = Entry::read(repo, last)?.redo;
    let again = redo.pop().ok_or_else(nothing)?;
    let done = Entry::read(repo, again)?;
    let mut entry = Entry::new(
        repo,
        format!("redo {}", done.what),
        done.writes,
        now,
        done.after,
    );
    entry.next_undo = Some(NextUndo::Of(again));
    entry.redo = redo;
    Ok(entry)
}
