//! The patch manager: everyday work on the series, all or nothing, with a way back.
//!
//! An operation is planned and checked in memory ([`plan`]); what it changes in the project
//! and in `mlx_local` is then recorded as a whole and carried out ([`journal`]). A run that is
//! killed is finished by the next one. Git itself is `crate::git`'s.

pub mod bump;
pub mod check;
mod conflict;
pub mod edit;
pub mod export;
mod fragments;
pub mod import;
pub mod incoming;
pub mod journal;
mod mail;
mod manifest;
mod placing;
pub mod plan;
pub mod project;
pub mod questions;
pub mod refresh;
pub mod session;
pub mod status;
mod waiting;

use std::time::Duration;

use crate::git::{Oid, Repository};

use crate::error::{Doing, Error, Result};
use crate::git::history::History;
use crate::git::local::State;
use crate::git::survey::{self, Survey, Target};
use crate::git::worktree;
use crate::git::{record, refs};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::series::{self, Fork, Series};
use crate::ui::Ui;

use journal::Local;
use session::Session;

/// The manager of one checkout, which it holds locked.
pub struct Manager<'a> {
    /// The project.
    pub layout: &'a Layout,
    /// `mlx_local`.
    pub repo: Repository,
    /// A clone with upstream's history, where one was named.
    pub history: Option<History>,
    _lock: Lock,
}

impl<'a> Manager<'a> {
    /// Takes the checkout's lock, and finishes what a killed run left unfinished.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] where there is no fork yet; [`crate::Kind::Environment`] where
    /// another run holds the checkout.
    pub fn open(layout: &'a Layout, ui: &dyn Ui) -> Result<Self> {
        let lock = Lock::acquire(layout, Duration::from_secs(60), |holder| {
            ui.note(&format!("waiting for another run: {holder}"));
        })?;
        let manager = Manager {
            layout,
            repo: survey::open(layout)?,
            history: None,
            _lock: lock,
        };
        if let Some(recovered) = journal::recover(layout, &manager.repo)? {
            ui.note(&recovered.to_string());
        }
        Ok(manager)
    }

    /// The pin of the series, which `mlx_local` has.
    pub fn pin(&self, name: &str) -> Result<Oid> {
        record::at(&self.repo, &format!("{}{name}", refs::PINS)).ok_or_else(|| {
            Error::usage(format!("mlx_local lacks the pin {name}")).hint(format!(
                "`MLX_REF={name} cargo xtask setup-mlx --until source` gets it"
            ))
        })
    }

    /// The error that tells of a plan that stopped.
    pub fn conflict(&self, plan: &plan::Plan, stop: &plan::Stop) -> Result<Error> {
        // Upstream moves places in a bump only.
        let past = match (plan, &self.history) {
            (plan::Plan::Bump(onto), Some(history)) => Some(conflict::Past {
                history,
                from: self.pin(&series::load(self.layout)?.base)?.to_string(),
                to: onto.commit.clone(),
            }),
            _ => None,
        };
        conflict::error(plan, &stop.at, &stop.stuck, past.as_ref())
    }

    /// The open session, if there is one.
    pub fn session(&self) -> Result<Option<Session>> {
        Session::read(&self.repo)
    }

    /// The series and its fork on its own pin, written into the object database.
    pub fn composed(&self) -> Result<(Series, Fork)> {
        let series = series::load(self.layout)?;
        let pin = self.pin(&series.base)?;
        let fork = series::compose(self.layout, &series, &pin.to_string())?;
        Ok((series, fork))
    }

    /// Where `mlx_local` is; refused where it has edits, or anything that isn't the fork's, or
    /// a session is open.
    pub fn clean(&self) -> Result<Local> {
        if let Some(session) = self.session()? {
            return Err(Error::conflict(session.describe()).hint(session.ways_out()));
        }
        self.without_edits(None)
    }

    /// Where `mlx_local` is, if it shows what it should; `to` is where it is to go.
    fn without_edits(&self, to: Option<Oid>) -> Result<Local> {
        let files = to.map(|to| self.files(to)).transpose()?;
        let target = to.zip(files.as_ref());
        let target = target.map(|(commit, files)| Target { commit, files });
        let seen = Survey::take(self.layout, &self.repo, target)?;
        seen.refuse()?;
        Ok(Local {
            state: State {
                shown: self.shown(&seen)?,
                worktree: None,
            },
            session: record::at(&self.repo, session::REFERENCE),
        })
    }

    fn shown(&self, seen: &Survey) -> Result<Oid> {
        seen.shown.ok_or_else(|| {
            Error::usage("mlx_local shows no fork yet").hint("`cargo xtask setup-mlx` makes it")
        })
    }

    fn files(&self, commit: Oid) -> Result<worktree::Listing> {
        let doing = || format!("reading the commit {commit}");
        let tree = self.repo.find_commit(commit).doing(doing)?.tree_id();
        worktree::listing(&self.repo, tree)
    }
}

/// Finishes what a killed run left unfinished. The caller holds the checkout's lock.
pub fn recover(layout: &Layout, ui: &dyn Ui) -> Result<bool> {
    if !layout.mlx_local().join(".git").exists() {
        return Ok(false);
    }
    let recovered = journal::recover(layout, &survey::open(layout)?)?;
    if let Some(recovered) = &recovered {
        ui.note(&recovered.to_string());
    }
    Ok(recovered.is_some())
}

/// Refuses where a session is open: what `mlx_local` shows is a person's to decide then.
pub fn refuse_open_session(layout: &Layout) -> Result<()> {
    if !layout.mlx_local().join(".git").exists() {
        return Ok(());
    }
    match Session::read(&survey::open(layout)?)? {
        Some(session) => Err(Error::conflict(session.describe()).hint(session.ways_out())),
        None => Ok(()),
    }
}

/// An object id from its hex digits.
pub fn id(text: &str) -> Result<Oid> {
    Oid::from_str(text).doing(|| format!("reading the id {text}"))
}
