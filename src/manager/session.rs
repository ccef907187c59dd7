//! What is open between two commands: an edit of one patch, or an operation that waits for a
//! person to resolve a conflict.

use std::collections::BTreeMap;

use crate::git::{Oid, Repository};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::git::draft::File;
use crate::git::record::{self, Files};
use crate::git::stack::Given;
use crate::manager::journal::Place;
use crate::manager::plan::Plan;
use crate::series::resolutions::Resolution;

/// The reference of an open session.
pub const REFERENCE: &str = "refs/mlx-fork/session";

/// An open session.
#[derive(Debug, Clone)]
pub enum Session {
    /// `mlx_local` shows the fork up to this feature, for a person to edit it.
    Edit {
        /// The feature.
        feature: String,
    },
    /// An operation waits for a person.
    Stopped(Box<Stopped>),
}

/// An operation that stopped at a conflict.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// What it is to do.
    pub plan: Plan,
    /// The series that it began with, by its content.
    pub key: String,
    /// The feature that conflicts.
    pub at: String,
    /// What a person made of features before it.
    pub given: Given,
    /// Features that were left out.
    pub skipped: Vec<String>,
    /// Answers that a person gave, to be kept in the project.
    pub answers: Vec<Resolution>,
    /// Where `mlx_local` was before, to go back to.
    pub origin: Place,
    /// Where it is now, but for what a person did.
    pub now: Place,
}

#[derive(Serialize, Deserialize)]
enum Text {
    Edit { feature: String },
    Stopped(Box<Waiting>),
}

/// A [`Stopped`] whose files are in the record: by feature and path, whether they are there,
/// and executable.
#[derive(Serialize, Deserialize)]
struct Waiting {
    plan: Plan,
    key: String,
    at: String,
    given: BTreeMap<String, BTreeMap<String, Option<bool>>>,
    skipped: Vec<String>,
    answers: Vec<Resolution>,
    origin: Place,
    now: Place,
}

impl Session {
    /// The open one.
    pub fn read(repo: &Repository) -> Result<Option<Self>> {
        match record::at(repo, REFERENCE) {
            Some(id) => Self::of(repo, id).map(Some),
            None => Ok(None),
        }
    }

    /// The one of a record.
    fn of(repo: &Repository, id: Oid) -> Result<Self> {
        let (text, files) = record::read(repo, id)?;
        let text: Text = serde_json::from_str(&text).map_err(|e| {
            Error::bug(format!("the record {id} of a session can't be read: {e}"))
                .hint("another version of this tool wrote it: end the session with that one")
        })?;
        Ok(match text {
            Text::Edit { feature } => Session::Edit { feature },
            Text::Stopped(text) => {
                let content = |feature: &str, path: &str| {
                    let found = files.get(&format!("{feature}/{path}"));
                    found.cloned().unwrap_or_default()
                };
                let given = text.given.into_iter().map(|(feature, paths)| {
                    let paths = paths.into_iter().map(|(path, executable)| {
                        let file = executable.map(|executable| File {
                            content: content(&feature, &path),
                            executable,
                        });
                        (path, file)
                    });
                    (feature.clone(), paths.collect())
                });
                Session::Stopped(Box::new(Stopped {
                    plan: text.plan,
                    key: text.key,
                    at: text.at,
                    given: given.collect(),
                    skipped: text.skipped,
                    answers: text.answers,
                    origin: text.origin,
                    now: text.now,
                }))
            }
        })
    }

    /// Writes it as a record, not yet as the open one.
    pub fn write(&self, repo: &Repository, keeps: &[Oid]) -> Result<Oid> {
        let mut files = Files::new();
        let text = match self {
            Session::Edit { feature } => Text::Edit {
                feature: feature.clone(),
            },
            Session::Stopped(stopped) => {
                let mut given = BTreeMap::new();
                for (feature, paths) in &stopped.given {
                    let mut modes = BTreeMap::new();
                    for (path, file) in paths {
                        modes.insert(path.clone(), file.as_ref().map(|f| f.executable));
                        if let Some(file) = file {
                            files.insert(format!("{feature}/{path}"), file.content.clone());
                        }
                    }
                    given.insert(feature.clone(), modes);
                }
                Text::Stopped(Box::new(Waiting {
                    plan: stopped.plan.clone(),
                    key: stopped.key.clone(),
                    at: stopped.at.clone(),
                    given,
                    skipped: stopped.skipped.clone(),
                    answers: stopped.answers.clone(),
                    origin: stopped.origin.clone(),
                    now: stopped.now.clone(),
                }))
            }
        };
        let text = serde_json::to_string(&text).map_err(|e| Error::bug(e.to_string()))?;
        record::write(repo, &text, &files, keeps)
    }

    /// What is open, in a sentence.
    pub fn describe(&self) -> String {
        match self {
            Session::Edit { feature } => format!("the patch of {feature} is open for editing"),
            Session::Stopped(stopped) => format!(
                "`{}` waits at {} for its conflicts to be resolved",
                stopped.plan, stopped.at
            ),
        }
    }

    /// How to end it.
    pub fn ways_out(&self) -> &'static str {
        match self {
            Session::Edit { .. } => {
                "`cargo xtask patch refresh` takes the edits in, `cargo xtask patch --abort` ends without"
            }
            Session::Stopped(stopped) => match stopped.plan {
                Plan::Bump(_) => {
                    "resolve them in mlx_local, then `cargo xtask bump --continue`; or --skip, or --abort"
                }
                _ => {
                    "resolve them in mlx_local, then `cargo xtask patch --continue`; or --skip, or --abort"
                }
            },
        }
    }
}
