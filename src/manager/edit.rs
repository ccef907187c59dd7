//! Operations as a person runs them: carried out, or stopped at a conflict for them to
//! resolve; undone, and done again. What waits is `waiting`'s.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::git::local::{self, State};
use crate::git::stack::Given;
use crate::git::survey::Survey;
use crate::git::{Oid, aside};
use crate::manager::journal::{self, Entry, Local, Place};
use crate::manager::plan::{self, Done, Outcome, Plan, Stop};
use crate::manager::project::Writes;
use crate::manager::session::{Session, Stopped};
use crate::manager::{Manager, id};
use crate::series;
use crate::series::resolutions::Resolution;

/// What an operation did.
#[derive(Debug)]
pub struct Finished {
    /// The operation.
    pub what: String,
    /// Files of the project that it wrote.
    pub written: Vec<String>,
    /// Files of the project that it removed.
    pub removed: Vec<String>,
    /// Features that were left out on the way.
    pub skipped: Vec<String>,
    /// The commit that `mlx_local` shows now.
    pub shown: String,
    /// Files of `mlx_local` that somebody changed meanwhile, left as they are.
    pub left: Vec<PathBuf>,
    /// A reference under which unfinished work was put aside.
    pub kept: Option<String>,
    /// Answers to conflicts that the project has, or keeps, though the operation is no more.
    pub answers: Vec<String>,
}

/// What a person decided on the way.
#[derive(Debug, Clone, Default)]
pub struct Decided {
    /// Their files, by feature.
    pub given: Given,
    /// Features to leave out.
    pub skipped: Vec<String>,
    /// Answers to keep.
    pub answers: Vec<Resolution>,
}

/// A plan that fits, and where it begins.
pub struct Ready {
    /// The plan.
    pub plan: Plan,
    /// What it comes to.
    pub done: Box<Done>,
    before: Local,
    origin: Local,
    skipped: Vec<String>,
}

impl Ready {
    /// Features that were left out on the way.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

impl Manager<'_> {
    /// Runs a plan. `before` is where `mlx_local` is, `origin` where an abort goes back to.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] where a person has to decide; the session is open then.
    pub fn run(
        &self,
        plan: Plan,
        decided: Decided,
        before: Local,
        origin: Local,
    ) -> Result<Finished> {
        let ready = self.work(plan, decided, before, origin)?;
        self.finish(ready)
    }

    /// Works a plan out as far as [`Self::finish`]; stops as [`Self::run`] does.
    pub fn work(
        &self,
        plan: Plan,
        decided: Decided,
        before: Local,
        origin: Local,
    ) -> Result<Ready> {
        let mut series = series::load(self.layout)?;
        let key = series.content_key();
        for answer in &decided.answers {
            series.resolutions.add(answer.clone());
        }
        match plan::work_out(self, &series, &plan, &decided.given, &decided.skipped)? {
            Outcome::Done(done) => Ok(Ready {
                plan,
                done,
                before,
                origin,
                skipped: decided.skipped,
            }),
            Outcome::Stopped(stop) => Err(self.stop(plan, key, decided, before, origin, &stop)?),
        }
    }

    /// Carries out what was worked out.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] where a file of a person's stands where the fork gets one.
    pub fn finish(&self, ready: Ready) -> Result<Finished> {
        let shown = id(&ready.done.fork.id)?;
        let after = Local {
            state: State {
                shown,
                worktree: None,
            },
            session: None,
        };
        let what = ready.plan.to_string();
        if ready.done.writes.is_empty() && ready.before == after {
            // Nothing that an undo could take back.
            return Ok(Finished {
                what,
                written: Vec::new(),
                removed: Vec::new(),
                skipped: ready.skipped,
                shown: shown.to_string(),
                left: Vec::new(),
                kept: None,
                answers: Vec::new(),
            });
        }
        let mut entry = Entry::new(&self.repo, what, ready.done.writes, ready.before, after);
        entry.origin = ready.origin;
        self.room_for(&entry)?;
        self.carry_out(&entry, ready.skipped, None)
    }

    /// `work` is a commit of a person's that no state after this has.
    pub(super) fn carry_out(
        &self,
        entry: &Entry,
        skipped: Vec<String>,
        work: Option<Oid>,
    ) -> Result<Finished> {
        journal::check(self.layout, &self.repo, entry)?;
        let kept = aside::put(&self.repo, entry.before.state, work)?;
        let left = journal::commit(self.layout, &self.repo, entry)?;
        let paths = |stays: bool| {
            let writes = entry.writes.iter();
            let those = writes.filter(|(_, write)| write.after.is_some() == stays);
            those.map(|(path, _)| path.clone()).collect()
        };
        Ok(Finished {
            what: entry.what.clone(),
            written: paths(true),
            removed: paths(false),
            skipped,
            shown: entry.after.state.shown.to_string(),
            left,
            kept,
            answers: Vec::new(),
        })
    }

    /// Opens the session of a conflict; the error that tells of it.
    fn stop(
        &self,
        plan: Plan,
        key: String,
        decided: Decided,
        before: Local,
        origin: Local,
        stop: &Stop,
    ) -> Result<Error> {
        let state = State {
            shown: stop.prefix,
            worktree: Some(stop.worktree),
        };
        let now = Local {
            state,
            session: None,
        };
        let mut keeps = plan.keeps()?;
        for local in [&origin, &now] {
            keeps.push(local.state.shown);
            keeps.extend(local.state.worktree);
            keeps.extend(local.session);
        }
        let session = Session::Stopped(Box::new(Stopped {
            plan: plan.clone(),
            key,
            at: stop.at.clone(),
            given: decided.given,
            skipped: decided.skipped,
            answers: decided.answers,
            origin: Place::of(&origin),
            now: Place::of(&now),
        }));
        let record = session.write(&self.repo, &keeps)?;
        let after = Local {
            state,
            session: Some(record),
        };
        let mut entry = Entry::new(&self.repo, plan.to_string(), Writes::new(), before, after);
        entry.logged = false;
        let Finished { kept, .. } = self.carry_out(&entry, Vec::new(), None)?;
        let error = self.conflict(&plan, stop)?.hint(session.ways_out());
        Ok(match kept {
            Some(name) => error.hint(format!(
                "what was committed or staged before is under {name}"
            )),
            None => error,
        })
    }

    /// Opens the fork up to `feature` in `mlx_local`, for any tool to edit.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] where `mlx_local` has edits already.
    pub fn edit(&self, feature: &str) -> Result<Finished> {
        let before = match self.session()? {
            // From one patch to another.
            Some(Session::Edit { .. }) => self.without_edits(None)?,
            _ => self.clean()?,
        };
        let (series, fork) = self.composed()?;
        let names = series.features.iter().map(|f| f.name.as_str());
        let at = plan::position(names, feature)?;
        let shown = id(&fork.commits[at].id)?;
        self.without_edits(Some(shown))?;
        let session = Session::Edit {
            feature: feature.into(),
        };
        let session = session.write(&self.repo, &[shown])?;
        let after = Local {
            state: State {
                shown,
                worktree: None,
            },
            session: Some(session),
        };
        let what = format!("patch edit {feature}");
        let mut entry = Entry::new(&self.repo, what, Writes::new(), before, after);
        entry.logged = false;
        self.carry_out(&entry, Vec::new(), None)
    }

    /// Undoes the last operation; several times, those before it.
    pub fn undo(&self) -> Result<Finished> {
        let now = self.as_recorded()?;
        let (entry, answers) = journal::undo(&self.repo, now)?;
        self.room_for(&entry)?;
        let finished = self.carry_out(&entry, Vec::new(), None)?;
        Ok(Finished {
            answers,
            ..finished
        })
    }

    /// Does again what the last undo undid.
    pub fn redo(&self) -> Result<Finished> {
        let now = self.as_recorded()?;
        let entry = journal::redo(&self.repo, now)?;
        self.room_for(&entry)?;
        self.carry_out(&entry, Vec::new(), None)
    }

    /// Refuses where a file of a person's stands where the fork gets one.
    pub(super) fn room_for(&self, entry: &Entry) -> Result<()> {
        if entry.before.state.worktree.is_none() {
            self.without_edits(Some(entry.after.state.shown))?;
        }
        Ok(())
    }

    /// As [`Self::clean`]; but edits that an undo of a refresh brought back are in its record,
    /// and stop nothing.
    fn as_recorded(&self) -> Result<Local> {
        let last = crate::git::record::at(&self.repo, journal::LOG);
        let Some(last) = last else {
            return self.clean();
        };
        let after = Entry::read(&self.repo, last)?.after;
        let now = self.now(&after, &self.additions()?)?;
        if now == after {
            return Ok(now);
        }
        self.clean()
    }

    /// What is on disk now, where `mlx_local` should be at `known`.
    pub(super) fn now(&self, known: &Local, extra: &BTreeSet<Vec<u8>>) -> Result<Local> {
        let base = known.state.worktree.unwrap_or(known.state.shown);
        let disk = local::snapshot(self.layout, base, extra)?;
        Ok(Local {
            state: State {
                shown: known.state.shown,
                worktree: Some(disk).filter(|disk| *disk != known.state.shown),
            },
            session: crate::git::record::at(&self.repo, crate::manager::session::REFERENCE),
        })
    }

    /// Files that a person added with git, or that stand in the index in another way.
    pub(super) fn additions(&self) -> Result<BTreeSet<Vec<u8>>> {
        let seen = Survey::take(self.layout, &self.repo, None)?;
        seen.refuse_unfinished()?;
        Ok(seen.paths_of_edits())
    }
}

impl Plan {
    /// The file of the project that a new file of it goes to.
    pub(super) fn own(&self, path: &str) -> Option<&String> {
        match self {
            Plan::Refresh(taken) => taken.own.get(path),
            Plan::Import(imported) => imported.features.iter().find_map(|f| f.own.get(path)),
            Plan::Reorder { .. } | Plan::Drop { .. } | Plan::Export | Plan::Bump(_) => None,
        }
    }

    /// Commits that it needs.
    fn keeps(&self) -> Result<Vec<Oid>> {
        let ids: Vec<&String> = match self {
            Plan::Refresh(taken) => vec![&taken.baseline, &taken.disk],
            Plan::Import(imported) => imported.commits(),
            Plan::Bump(onto) => vec![&onto.commit],
            Plan::Reorder { .. } | Plan::Drop { .. } | Plan::Export => Vec::new(),
        };
        ids.into_iter().map(|text| id(text)).collect()
    }
}
