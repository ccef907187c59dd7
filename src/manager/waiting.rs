//! What waits for a person: going on, leaving out, going back.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::git::draft::File;
use crate::git::edits;
use crate::git::local::{self, State};
use crate::git::stack::Stuck;
use crate::git::survey::Survey;
use crate::git::{merge, refs};
use crate::manager::edit::{Decided, Finished, Ready};
use crate::manager::journal::{Entry, Local};
use crate::manager::plan::{self, Outcome, Plan};
use crate::manager::project::Writes;
use crate::manager::session::{Session, Stopped};
use crate::manager::{Manager, id};
use crate::series::resolutions::Resolution;
use crate::series::{self, Series};

impl Manager<'_> {
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

    /// Where `mlx_local` is now, while an operation waits.
    pub fn here(&self, stopped: &Stopped) -> Result<Local> {
        self.now(&stopped.now.local()?, &BTreeSet::new())
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
