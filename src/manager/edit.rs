//! Operations as a person runs them: carried out, or stopped at a conflict for them to
//! resolve; going on, leaving out, going back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::git::draft::File;
use crate::git::edits;
use crate::git::local::{self, State};
use crate::git::stack::{Given, Stuck};
use crate::git::survey::Survey;
use crate::git::{Oid, merge, refs};
use crate::manager::conflict;
use crate::manager::journal::{self, Entry, Local, Place};
use crate::manager::plan::{self, Done, Outcome, Plan, Stop};
use crate::manager::project::Writes;
use crate::manager::session::{Session, Stopped};
use crate::manager::{Manager, id};
use crate::series::resolutions::Resolution;
use crate::series::{self, Series};

/// What an operation did.
#[derive(Debug)]
pub struct Finished {
    /// The operation.
    pub what: String,
    /// Files of the project that it wrote.
    pub written: Vec<String>,
    /// Features that were left out on the way.
    pub skipped: Vec<String>,
    /// The commit that `mlx_local` shows now.
    pub shown: String,
    /// Files of `mlx_local` that somebody changed meanwhile, left as they are.
    pub left: Vec<PathBuf>,
    /// A reference under which unfinished work was put aside.
    pub kept: Option<String>,
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
    pub fn finish(&self, ready: Ready) -> Result<Finished> {
        let after = Local {
            state: State {
                shown: id(&ready.done.fork.id)?,
                worktree: None,
            },
            session: None,
        };
        let what = ready.plan.to_string();
        let mut entry = Entry::new(&self.repo, what, ready.done.writes, ready.before, after);
        entry.origin = ready.origin;
        self.carry_out(&entry, ready.skipped)
    }

    fn carry_out(&self, entry: &Entry, skipped: Vec<String>) -> Result<Finished> {
        let left = journal::commit(self.layout, &self.repo, entry)?;
        Ok(Finished {
            what: entry.what.clone(),
            written: entry.writes.keys().cloned().collect(),
            skipped,
            shown: entry.after.state.shown.to_string(),
            left,
            kept: None,
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
        journal::commit(self.layout, &self.repo, &entry)?;
        Ok(conflict::error(&plan, &stop.at, &stop.stuck).hint(session.ways_out()))
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
        self.carry_out(&entry, Vec::new())
    }

    /// Goes on with what stopped, with what a person made of the conflicts.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] where markers are left, or at the next conflict.
    pub fn resume(&self) -> Result<Finished> {
        if let Some(Session::Stopped(stopped)) = self.session()?
            && let Plan::Bump(_) = stopped.plan
        {
            return Err(Error::usage(format!(
                "`{}` is verified before it is taken over",
                stopped.plan
            ))
            .hint("cargo xtask bump --continue"));
        }
        let ready = self.work_on()?;
        self.finish(ready)
    }

    /// As [`Self::resume`], as far as [`Self::finish`].
    pub fn work_on(&self) -> Result<Ready> {
        let stopped = self.stopped("continue")?;
        let series = self.same_series(&stopped)?;
        let (before, files) = self.resolved(&stopped)?;
        let step = series.features.iter().find(|f| f.name == stopped.at);
        let mut given = BTreeMap::new();
        let mut unfinished = Vec::new();
        for (path, (_, after)) in files {
            let ours = step.and_then(|f| f.overlay.iter().find(|file| file.target == path));
            if let Some(ours) = ours {
                if after.as_ref().map(|file| &file.content) != Some(&ours.content) {
                    return Err(Error::conflict(format!(
                        "mlx_local/{path} differs from {}, and this is about the patch only",
                        ours.source
                    ))
                    .hint(format!(
                        "put it back as it is in {}, and edit that after this is finished",
                        ours.source
                    )));
                }
                continue;
            }
            if let Some(line) = after.as_ref().and_then(|file| merge::marker(&file.content)) {
                unfinished.push(format!("\n    mlx_local/{path}:{line}"));
            }
            given.insert(path, after);
        }
        if !unfinished.is_empty() {
            return Err(Error::conflict(format!(
                "conflict markers are left{}",
                unfinished.concat()
            ))
            .hint(Session::Stopped(Box::new(stopped)).ways_out()));
        }
        if given.is_empty() {
            return Err(Error::conflict(format!(
                "nothing of what {} changes is left in mlx_local",
                stopped.at
            ))
            .hint("`--skip` leaves the feature out, `--abort` ends; `git -C mlx_local log refs/mlx-fork/kept/*` has what was put aside"));
        }
        let mut decided = Decided {
            given: stopped.given.clone(),
            skipped: stopped.skipped.clone(),
            answers: stopped.answers.clone(),
        };
        decided
            .answers
            .extend(self.answers(&series, &stopped, &given)?);
        decided.given.insert(stopped.at.clone(), given);
        self.work(
            stopped.plan.clone(),
            decided,
            before,
            stopped.origin.local()?,
        )
    }

    /// Goes on without the feature that conflicts.
    pub fn skip(&self) -> Result<Finished> {
        let (ready, kept) = self.work_without()?;
        self.finish(ready).map(|done| Finished { kept, ..done })
    }

    /// As [`Self::skip`], as far as [`Self::finish`]; and the reference under which what a
    /// person did so far was put aside.
    pub fn work_without(&self) -> Result<(Ready, Option<String>)> {
        let stopped = self.stopped("skip")?;
        self.same_series(&stopped)?;
        let before = self.now(&stopped.now.local()?, &BTreeSet::new())?;
        let kept = self.keep_work(&stopped.now.local()?, &before)?;
        let mut decided = Decided {
            given: stopped.given.clone(),
            skipped: stopped.skipped.clone(),
            answers: stopped.answers.clone(),
        };
        decided.skipped.push(stopped.at.clone());
        let ready = self.work(
            stopped.plan.clone(),
            decided,
            before,
            stopped.origin.local()?,
        )?;
        Ok((ready, kept))
    }

    /// Ends a session, and brings `mlx_local` back to where it was before. What was changed
    /// there since is put aside first.
    pub fn abort(&self) -> Result<Finished> {
        let (what, now, origin) = match self.session()? {
            None => return Err(nothing_open("abort")),
            Some(Session::Stopped(stopped)) => (
                stopped.plan.to_string(),
                stopped.now.local()?,
                stopped.origin.local()?,
            ),
            Some(Session::Edit { feature }) => {
                let (_, fork) = self.composed()?;
                let at = |shown| Local {
                    state: State {
                        shown,
                        worktree: None,
                    },
                    session: None,
                };
                let shown = Survey::take(self.layout, &self.repo, None)?;
                let now = at(self.shown(&shown)?);
                (format!("patch edit {feature}"), now, at(id(&fork.id)?))
            }
        };
        let before = self.now(&now, &self.additions()?)?;
        let kept = self.keep_work(&now, &before)?;
        let mut entry = Entry::new(
            &self.repo,
            format!("abort {what}"),
            Writes::new(),
            before,
            origin,
        );
        entry.logged = false;
        let done = self.carry_out(&entry, Vec::new())?;
        Ok(Finished { kept, ..done })
    }

    /// Undoes the last operation; several times, those before it.
    pub fn undo(&self) -> Result<Finished> {
        let now = self.as_recorded()?;
        let entry = journal::undo(&self.repo, now)?;
        self.carry_out(&entry, Vec::new())
    }

    /// Does again what the last undo undid.
    pub fn redo(&self) -> Result<Finished> {
        let now = self.as_recorded()?;
        let entry = journal::redo(&self.repo, now)?;
        self.carry_out(&entry, Vec::new())
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
        if now.state == after.state {
            return Ok(now);
        }
        self.clean()
    }

    fn stopped(&self, verb: &str) -> Result<Stopped> {
        match self.session()? {
            Some(Session::Stopped(stopped)) => Ok(*stopped),
            Some(edit @ Session::Edit { .. }) => Err(Error::usage(format!(
                "there is no conflict to {verb}: {}",
                edit.describe()
            ))
            .hint(edit.ways_out())),
            None => Err(nothing_open(verb)),
        }
    }

    fn same_series(&self, stopped: &Stopped) -> Result<Series> {
        let series = series::load(self.layout)?;
        if series.content_key() != stopped.key {
            return Err(Error::conflict(format!(
                "the series was changed since `{}` began",
                stopped.plan
            ))
            .hint("`cargo xtask patch --abort`, then begin again"));
        }
        Ok(series)
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

    /// Where `mlx_local` is now, while an operation waits.
    pub fn here(&self, stopped: &Stopped) -> Result<Local> {
        self.now(&stopped.now.local()?, &BTreeSet::new())
    }

    /// Files that a person added with git, or that stand in the index in another way.
    pub(super) fn additions(&self) -> Result<BTreeSet<Vec<u8>>> {
        let seen = Survey::take(self.layout, &self.repo, None)?;
        Ok(seen.paths_of_edits())
    }

    /// The files of the feature that conflicts, as a person left them.
    fn resolved(&self, stopped: &Stopped) -> Result<(Local, BTreeMap<String, local::Became>)> {
        let before = self.now(&stopped.now.local()?, &self.additions()?)?;
        let disk = before.state.worktree.unwrap_or(before.state.shown);
        let files = local::changes(&self.repo, before.state.shown, disk)?;
        Ok((before, files))
    }

    /// What a person answered to each place, where that can be told.
    fn answers(
        &self,
        series: &Series,
        stopped: &Stopped,
        given: &BTreeMap<String, Option<File>>,
    ) -> Result<Vec<Resolution>> {
        let outcome = plan::work_out(
            self,
            series,
            &stopped.plan,
            &stopped.given,
            &stopped.skipped,
        )?;
        let Outcome::Stopped(stop) = outcome else {
            return Ok(Vec::new());
        };
        let mut answers = Vec::new();
        let here = |stuck: &&Stuck| stuck.feature == stopped.at;
        for stuck in stop.stuck.iter().filter(here) {
            let Some(Some(file)) = given.get(&stuck.path) else {
                continue;
            };
            let found = merge::answers(&stuck.parts, &file.content).unwrap_or_default();
            for (conflict, resolved) in found {
                answers.extend(Resolution::of(&stuck.origin, &conflict, &resolved));
            }
        }
        Ok(answers)
    }

    /// Puts what a person did between two states under a reference.
    fn keep_work(&self, known: &Local, now: &Local) -> Result<Option<String>> {
        if now.state == known.state {
            return Ok(None);
        }
        let Some(disk) = now.state.worktree else {
            return Ok(None);
        };
        let name = edits::free_name(&self.repo)?;
        refs::set(&self.repo, &name, disk)?;
        Ok(Some(name))
    }
}

fn nothing_open(verb: &str) -> Error {
    Error::usage(format!("there is nothing to {verb}: no operation waits"))
        .hint("`cargo xtask patch status` shows where the series stands")
}

impl Plan {
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
