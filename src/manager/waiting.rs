//! What waits for a person: going on, leaving out, going back.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::git::draft::File;
use crate::git::local::{self, State};
use crate::git::stack::Stuck;
use crate::git::survey::Survey;
use crate::git::{Oid, aside, merge};
use crate::manager::edit::{Decided, Finished, Ready};
use crate::manager::journal::{Entry, Local};
use crate::manager::plan::{self, Outcome, Plan};
use crate::manager::project::{self, Writes};
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
        let known = stopped.now.local()?.state;
        let disk = known.worktree.unwrap_or(known.shown);
        let stood = local::changes(&self.repo, known.shown, disk)?;
        let mut given = BTreeMap::new();
        let mut unfinished = Vec::new();
        for (path, (before, after)) in files {
            let source = series.overlay_at(&path).map(|file| &file.source);
            let stood = stood.get(&path).map_or(&before, |(_, stood)| stood);
            if let Some(source) = source.or(stopped.plan.own(&path)) {
                if after != *stood {
                    return Err(Error::conflict(format!(
                        "mlx_local/{path} is changed, which is {source} of the project, and this is about the patch only"
                    ))
                    .hint(format!(
                        "put it back as it was, and edit {source} after this is finished"
                    )));
                }
                continue;
            }
            if let Some(after) = &after {
                let shown = stood.as_ref().map_or(&[][..], |file| &file.content);
                let left = merge::markers_left(shown, &stopped.at, &after.content);
                let named = left
                    .iter()
                    .map(|line| format!("\n    mlx_local/{path}:{line}"));
                unfinished.extend(named);
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
        self.finish(ready).map(|done| Finished {
            kept: kept.or(done.kept.clone()),
            ..done
        })
    }

    /// As [`Self::skip`], as far as [`Self::finish`]; and the reference under which what a
    /// person did so far was put aside.
    pub fn work_without(&self) -> Result<(Ready, Option<String>)> {
        let stopped = self.stopped("skip")?;
        self.same_series(&stopped)?;
        let known = stopped.now.local()?;
        let before = self.now(&known, &self.additions()?)?;
        let kept = match work(&known, &before) {
            Some(work) => aside::put(&self.repo, before.state, Some(work))?,
            None => None,
        };
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
    /// there since is put aside first; what was resolved and gone on with stays as answers.
    pub fn abort(&self) -> Result<Finished> {
        let mut answered = false;
        let mut writes = Writes::new();
        let (what, now, origin) = match self.session()? {
            None => return Err(nothing_open("abort")),
            Some(Session::Stopped(stopped)) => {
                answered = !stopped.given.is_empty();
                writes = project::keeping(self.layout, &stopped.answers)?;
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
        let what = format!("abort {what}");
        let mut entry = Entry::new(&self.repo, what, writes, before, origin);
        entry.logged = false;
        // What was resolved at earlier stops is below what is there now.
        let work = work(&now, &before).or(now.state.worktree.filter(|_| answered));
        let finished = self.carry_out(&entry, Vec::new(), work)?;
        Ok(Finished {
            answers: finished.written.clone(),
            ..finished
        })
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
        self.now(&stopped.now.local()?, &self.additions()?)
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
            answers.extend(Resolution::of_file(&stuck.origin, &found));
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
