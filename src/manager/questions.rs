//! Where each change in `mlx_local` goes, and what only a person can say where that isn't
//! clear. Nothing is guessed, and nothing is written here.

use crate::error::{Error, Result};
use crate::manager::refresh::{Changes, Request};
use crate::series::{Series, path as paths};

/// Where a changed file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goes {
    /// Back to this file of the project.
    Overlay(String),
    /// Into the patch of this feature.
    Patch(String),
    /// Out of the series.
    Out,
}

/// Changed files with where they go, and what has to be asked of the rest.
pub type Routed = (Vec<(String, Goes)>, Vec<Question>);

/// Something that only a person can say of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// An overlay file is deleted: does it leave the series?
    Deleted {
        /// Its path in MLX's tree.
        path: String,
        /// The file of the project.
        source: String,
    },
    /// A file of upstream's is changed: into which patch does that go?
    Into {
        /// The file.
        path: String,
        /// The features whose patches change it already.
        touched: Vec<String>,
    },
    /// A file is new: the project's own, or a part of the patch?
    New {
        /// The file.
        path: String,
        /// The file of the project that it would be, by the files beside it.
        source: String,
    },
    /// A new file of the project: of which feature?
    Owner,
}

impl Question {
    /// What isn't clear.
    pub fn what(&self) -> String {
        match self {
            Question::Deleted { path, source } => {
                format!("{path} is deleted; it is {source} of the project")
            }
            Question::Into { path, touched } if touched.is_empty() => {
                format!("{path} is upstream's")
            }
            Question::Into { path, touched } => {
                format!(
                    "{path} is upstream's, and changed by {}",
                    touched.join(", ")
                )
            }
            Question::New { path, .. } => format!("{path} is new"),
            Question::Owner => "a new file of the project belongs to a feature".into(),
        }
    }

    /// The option that answers it.
    pub fn option(&self) -> String {
        match self {
            Question::Deleted { path, .. } => {
                format!("--remove {path} takes it out of the series")
            }
            Question::Into { .. } => "--into FEATURE says into which patch it goes".into(),
            Question::New { path, source } => format!(
                "--own {path}={source} makes it a file of the project, --hook {path} a part of the patch"
            ),
            Question::Owner => "--into FEATURE says to which".into(),
        }
    }

    /// What to type, where somebody is there to be asked.
    pub fn prompt(&self) -> String {
        match self {
            Question::Deleted { .. } => "take it out of the series? yes or no".into(),
            Question::Into { .. } => "into the patch of which feature?".into(),
            Question::New { source, .. } => {
                format!("own (as {source}), own FILE for another file of the project, or hook?")
            }
            Question::Owner => "which feature?".into(),
        }
    }

    /// Puts what was typed into the request; false where it answers nothing.
    pub fn answer(&self, said: &str, request: &mut Request) -> bool {
        let words: Vec<&str> = said.split_whitespace().collect();
        match (self, &words[..]) {
            (Question::Deleted { path, .. }, ["y" | "yes"]) => {
                request.remove.insert(path.clone());
            }
            (Question::Into { .. } | Question::Owner, [feature]) => {
                request.into = Some((*feature).into());
            }
            (Question::New { path, source }, ["own"]) => {
                request.own.insert(path.clone(), source.clone());
            }
            (Question::New { path, .. }, ["own", source]) => {
                request.own.insert(path.clone(), (*source).into());
            }
            (Question::New { path, .. }, ["hook"]) => {
                request.hook.insert(path.clone());
            }
            _ => return false,
        }
        true
    }
}

/// Refuses what isn't clear: all questions at once, each with the option that answers it.
pub fn refuse(questions: &[Question]) -> Result<()> {
    if questions.is_empty() {
        return Ok(());
    }
    let list = questions.iter().map(|q| format!("\n    {}", q.what()));
    let error = Error::conflict(format!(
        "it isn't clear where these changes go; nothing was written{}",
        list.collect::<String>()
    ));
    let mut options: Vec<String> = questions.iter().map(Question::option).collect();
    options.dedup();
    Err(options.into_iter().fold(error, Error::hint))
}

/// Where each change goes.
///
/// # Errors
/// [`crate::Kind::Usage`] for paths that no series may name.
pub fn routes(
    series: &Series,
    into: Option<&str>,
    request: &Request,
    changes: &Changes,
) -> Result<Routed> {
    let mut files = Vec::new();
    let mut questions = Vec::new();
    for (path, (before, after)) in changes {
        if let Some(why) = paths::refuse(path) {
            return Err(Error::usage(format!("mlx_local/{path} {why}"))
                .hint("rename it, or move it out of mlx_local"));
        }
        let goes = if let Some(overlay) = series.overlay_at(path) {
            let source = overlay.source.clone();
            match after {
                Some(_) => Ok(Goes::Overlay(source)),
                None if request.remove.contains(path) => Ok(Goes::Out),
                None => Err(Question::Deleted {
                    path: path.clone(),
                    source,
                }),
            }
        } else if let Some(source) = request.own.get(path) {
            if let Some(why) = paths::refuse(source) {
                return Err(Error::usage(format!(
                    "the file of the project {source:?} {why}"
                )));
            }
            Ok(Goes::Overlay(source.clone()))
        } else if before.is_some() || request.hook.contains(path) {
            into.map(|feature| Goes::Patch(feature.into()))
                .ok_or_else(|| Question::Into {
                    path: path.clone(),
                    touched: touching(series, path),
                })
        } else {
            Err(Question::New {
                path: path.clone(),
                source: neighbour(series, path),
            })
        };
        match goes {
            Ok(goes) => files.push((path.clone(), goes)),
            Err(question) => questions.push(question),
        }
    }
    if !request.own.is_empty() && into.is_none() {
        questions.push(Question::Owner);
    }
    Ok((files, questions))
}

/// The features whose patches change a file.
fn touching(series: &Series, path: &str) -> Vec<String> {
    let touching = series.features.iter().filter(|feature| {
        let mut files = feature.patch.files.iter();
        files.any(|file| file.path == path)
    });
    touching.map(|feature| feature.name.clone()).collect()
}

/// Where a new file would stand in the project, by the overlay files next to it.
fn neighbour(series: &Series, path: &str) -> String {
    let mut folder = path;
    while let Some((above, _)) = folder.rsplit_once('/') {
        folder = above;
        for file in series.features.iter().flat_map(|f| &f.overlay) {
            let rest = file
                .target
                .strip_prefix(folder)
                .and_then(|r| r.strip_prefix('/'));
            if let Some(root) = rest.and_then(|rest| file.source.strip_suffix(rest)) {
                return format!("{root}{}", &path[folder.len() + 1..]);
            }
        }
    }
    format!("mlx_primitives/{path}")
}
