//! Operations as a person runs them: carried out, or stopped at a conflict for them to
//! resolve; going on, leaving out, going back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::git::aside;
use crate::git::draft::File;
use crate::git::local::{self, State};
use crate::git::stack::{Given, Stuck};
use crate::git::survey::Survey;
use crate::git::{Oid, merge};
use crate::manager::conflict;
use crate::manager::journal::{self, Entry, Local, Place};
use crate::manager::plan::{self, Outcome, Plan, Stop};
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
    /// A commit of their work that nothing takes in: it is put aside.
    pub unused: Option<Oid>,
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
        let mut series = series::load(self.layout)?;
        let key = series.content_key();
        for answer in &decided.answers {
            series.resolutions.add(answer.clone());
        }
        match plan::work_out(self, &series, &plan, &decided.given, &decided.skipped)? {
            Outcome::Done(done) => {
                let after = Local {
                    state: State {
                        shown: id(&done.fork.id)?,
                        worktree: None,
                    },
                    session: None,
                };
                let mut entry =
                    Entry::new(&self.repo, plan.to_string(), done.writes, before, after);
                entry.origin = origin;
                self.carry_out(&entry, decided.skipped, decided.unused)
            }
            Outcome::Stopped(stop) => Err(self.stop(plan, key, decided, before, origin, &stop)?),
        }
    }

    /// `work` is a commit of a person's that no state after this has.
    fn carry_out(
        &self,
        entry: &Entry,
        skipped: Vec<String>,
        work: Option<Oid>,
    ) -> Result<Finished> {
        journal::check(self.layout, &self.repo, entry)?;
        let kept = aside::put(&self.repo, entry.before.state, work)?;
        let left = journal::commit(self.layout, &self.repo, entry)?;
        Ok(Finished {
            what: entry.what.clone(),
            written: entry.writes.keys().cloned().collect(),
            skipped,
            shown: entry.after.state.shown.to_string(),
            left,
            kept,
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
        let work = decided.unused;
        let mut entry = Entry::new(&self.repo, plan.to_string(), Writes::new(), before, after);
        entry.logged = false;
        let Finished { kept, .. } = self.carry_out(&entry, Vec::new(), work)?;
        let error = conflict::error(&plan, &stop.at, &stop.stuck).hint(session.ways_out());
        Ok(match kept {
            Some(name) => error.hint(format!("what was there before is under {name}")),
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

    /// Goes on with what stopped, with what a person made of the conflicts.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] where markers are left, or at the next conflict.
    pub fn resume(&self) -> Result<Finished> {
        let stopped = self.stopped("continue")?;
        let series = self.same_series(&stopped)?;
        let (before, files) = self.resolved(&stopped)?;
        let known = stopped.now.local()?.state;
        let stood = local::changes(
            &self.repo,
            known.shown,
            known.worktree.unwrap_or(known.shown),
        )?;
        let mut given = BTreeMap::new();
        let mut unfinished = Vec::new();
        for (path, (before, after)) in files {
            let source = series.overlay_at(&path).map(|file| &file.source);
            if let Some(source) = source.or(stopped.plan.own(&path)) {
                let stood = stood.get(&path).map_or(&before, |(_, stood)| stood);
                if after != *stood {
                    return Err(Error::conflict(format!(
                        "mlx_local/{path} is changed, which is {source} of the project, and this is about the patch only",
                    ))
                    .hint(format!(
                        "put it back as it was, and edit {source} after this is finished",
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
            .hint("resolve them, then `cargo xtask patch --continue`"));
        }
        let mut decided = Decided {
            given: stopped.given.clone(),
            skipped: stopped.skipped.clone(),
            answers: stopped.answers.clone(),
            unused: None,
        };
        decided
            .answers
            .extend(self.answers(&series, &stopped, &given)?);
        decided.given.insert(stopped.at.clone(), given);
        self.run(
            stopped.plan.clone(),
            decided,
            before,
            stopped.origin.local()?,
        )
    }

    /// Goes on without the feature that conflicts.
    pub fn skip(&self) -> Result<Finished> {
        let stopped = self.stopped("skip")?;
        self.same_series(&stopped)?;
        let known = stopped.now.local()?;
        let before = self.now(&known, &self.additions()?)?;
        let mut decided = Decided {
            given: stopped.given.clone(),
            skipped: stopped.skipped.clone(),
            answers: stopped.answers.clone(),
            unused: work(&known, &before),
        };
        decided.skipped.push(stopped.at.clone());
        self.run(
            stopped.plan.clone(),
            decided,
            before,
            stopped.origin.local()?,
        )
    }

    /// Ends a session, and brings `mlx_local` back to where it was before. What was changed
    /// there since is put aside first.
    pub fn abort(&self) -> Result<Finished> {
        let mut answered = false;
        let (what, now, origin) = match self.session()? {
            None => return Err(nothing_open("abort")),
            Some(Session::Stopped(stopped)) => {
                answered = !stopped.given.is_empty();
                let (now, origin) = (stopped.now.local()?, stopped.origin.local()?);
                (stopped.plan.to_string(), now, origin)
            }
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
        let mut entry = Entry::new(
            &self.repo,
            format!("abort {what}"),
            Writes::new(),
            before,
            origin,
        );
        entry.logged = false;
        // What was resolved at earlier stops is below what is there now.
        let work = work(&now, &before).or(now.state.worktree.filter(|_| answered));
        self.carry_out(&entry, Vec::new(), work)
    }

    /// Undoes the last operation; several times, those before it.
    pub fn undo(&self) -> Result<Finished> {
        let now = self.as_recorded()?;
        let entry = journal::undo(&self.repo, now)?;
        self.carry_out(&entry, Vec::new(), None)
    }

    /// Does again what the last undo undid.
    pub fn redo(&self) -> Result<Finished> {
        let now = self.as_recorded()?;
        let entry = journal::redo(&self.repo, now)?;
        self.carry_out(&entry, Vec::new(), None)
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

    /// Files that a person added with git, or that stand in the index in another way.
    pub(super) fn additions(&self) -> Result<BTreeSet<Vec<u8>>> {
        let seen = Survey::take(self.layout, &self.repo, None)?;
        seen.refuse_unfinished()?;
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
}

/// The commit of what a person did between two states, where they did anything.
fn work(known: &Local, now: &Local) -> Option<Oid> {
    now.state.worktree.filter(|_| now.state != known.state)
}

fn nothing_open(verb: &str) -> Error {
    Error::usage(format!("there is nothing to {verb}: no operation waits"))
        .hint("`cargo xtask patch status` shows where the series stands")
}

impl Plan {
    /// The file of the project that a new file of it goes to.
    fn own(&self, path: &str) -> Option<&String> {
        match self {
            Plan::Refresh(taken) => taken.own.get(path),
            Plan::Import(imported) => imported.features.iter().find_map(|f| f.own.get(path)),
            Plan::Reorder { .. } | Plan::Drop { .. } | Plan::Bump(_) => None,
        }
    }

    /// Commits that it needs.
    fn keeps(&self) -> Result<Vec<Oid>> {
        let ids: Vec<&String> = match self {
            Plan::Refresh(taken) => vec![&taken.baseline, &taken.disk],
            Plan::Import(imported) => imported.commits(),
            Plan::Bump(onto) => vec![&onto.commit],
            Plan::Reorder { .. } | Plan::Drop { .. } => Vec::new(),
        };
        ids.into_iter().map(|text| id(text)).collect()
    }
}
