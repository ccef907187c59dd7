//! New features: from somebody's changes, or empty, with the head that their patch gets. What
//! somebody sent is taken apart by `mail`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{Doing, Error, Result};
use crate::git;
use crate::manager::edit::{Decided, Finished};
use crate::manager::import::{Imported, NewFeature};
use crate::manager::placing::place_all;
use crate::manager::plan::Plan;
use crate::manager::{Manager, mail};
use crate::series;
use crate::series::header::Header;
use crate::series::patch::FilePatch;

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Files with diffs or mails; `-`: standard input.
    pub files: Vec<PathBuf>,
    /// A clone and a range of its commits.
    pub commits: Option<(PathBuf, String)>,
    /// The feature's name; from the subject where it is left out.
    pub name: Option<String>,
    /// The subject of a diff without a mail around it.
    pub subject: Option<String>,
    /// The feature that it comes behind; the last where it is left out.
    pub after: Option<String>,
}

/// One change, as it came.
pub struct Incoming {
    /// The feature's name.
    pub name: String,
    /// The head of its patch file.
    pub head: String,
    /// What it does to each file.
    pub files: Vec<FilePatch>,
}

/// What became of the files of an import.
#[derive(Debug, Default)]
pub struct Placed {
    /// Mails without a change, such as the first of a series: their subjects.
    pub empty: Vec<String>,
    /// Hunks that stood at another line than they said: patch, file, and how far.
    pub moved: Vec<String>,
    /// New files of the project.
    pub own: Vec<String>,
}

/// Makes features of what comes.
///
/// # Errors
/// [`crate::Kind::Conflict`] with all hunks that have no place;
/// [`crate::Kind::Usage`] for what no feature may do.
pub fn import(manager: &Manager<'_>, request: &Request) -> Result<(Placed, Finished)> {
    let before = manager.clean()?;
    let scratch = tempfile::tempdir().doing(|| "making a scratch folder".into())?;
    let mut placed = Placed::default();
    let incoming = mail::read(manager, request, scratch.path(), &mut placed.empty)?;
    if incoming.is_empty() {
        return Err(Error::usage("there is no change in it"));
    }
    let imported = place_all(manager, request, &incoming, &mut placed)?;
    let plan = Plan::Import(imported);
    let finished = manager.run(plan, Decided::default(), before, before)?;
    Ok((placed, finished))
}

/// Makes a feature that does nothing yet.
pub fn new(
    manager: &Manager<'_>,
    name: &str,
    subject: &str,
    after: Option<&str>,
) -> Result<Finished> {
    let before = manager.clean()?;
    let (_, fork) = manager.composed()?;
    let head = head(manager, name, subject, "")?;
    let plan = Plan::Import(Imported {
        features: vec![NewFeature {
            name: checked_name(name)?,
            head,
            from: fork.id.clone(),
            to: fork.id,
            own: BTreeMap::new(),
        }],
        after: after.map(str::to_string),
    });
    manager.run(plan, Decided::default(), before, before)
}

/// The name, if a feature may have it.
pub fn checked_name(name: &str) -> Result<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(word) {
        return Err(Error::usage(format!("\"{name}\" is no name of a feature"))
            .hint("a name is of a-z, 0-9 and _"));
    }
    Ok(name.to_string())
}

/// The head of a patch by the person who runs this.
pub fn head(manager: &Manager<'_>, name: &str, subject: &str, body: &str) -> Result<String> {
    let output = git::program()
        .arg("-C")
        .arg(manager.layout.mlx_local())
        .args(["var", "GIT_AUTHOR_IDENT"])
        .output()?;
    let ident = output.stdout.trim();
    // `NAME <MAIL> SECONDS ZONE`.
    let parts = ident.rsplit_once("> ").and_then(|(who, when)| {
        let (name, mail) = who.split_once(" <")?;
        let (seconds, zone) = when.split_once(' ')?;
        Some((name, mail, seconds.parse::<i64>().ok()?, zone))
    });
    let Some((who, mail, seconds, zone)) = parts.filter(|_| output.success()) else {
        return Err(
            Error::usage("git doesn't know who you are, and a patch names its author").hint(
                "git config --global user.name \"…\" && git config --global user.email \"…\"",
            ),
        );
    };
    let minutes: i32 = zone.parse::<i32>().unwrap_or(0);
    let offset = minutes / 100 * 60 + minutes % 100;
    render((who, mail), (seconds, offset), name, subject, body)
}

/// The head of a patch file that wasn't sent upstream, by `who` (name and address), at `when`
/// (seconds since 1970, minutes east).
///
/// # Errors
/// [`crate::Kind::Usage`] for an author of whom nothing is left that a commit can hold.
pub fn render(
    who: (&str, &str),
    when: (i64, i32),
    name: &str,
    subject: &str,
    body: &str,
) -> Result<String> {
    let body = body.trim();
    let gap = if body.is_empty() { "" } else { "\n\n" };
    let header = Header {
        name: tidy(who.0),
        email: tidy(who.1).replace(' ', ""),
        seconds: when.0,
        offset: when.1,
        message: format!(
            "{}\n\n{body}{gap}Upstream-Status: not-sent\nFeature: {name}\n",
            subject.split_whitespace().collect::<Vec<_>>().join(" ")
        ),
        feature: name.into(),
        upstream: series::header::Upstream::NotSent,
    };
    if header.name.is_empty() || header.email.is_empty() {
        return Err(Error::usage(format!(
            "\"{} <{}>\" is no author: a commit needs a name and an address",
            who.0, who.1
        )));
    }
    Ok(header.to_string())
}

/// A name without what git takes out of those of its commits.
fn tidy(name: &str) -> String {
    let dropped = |c: char| c.is_control() || "<>\"".contains(c);
    let crud = |c: char| c.is_whitespace() || ".,:;'\\".contains(c);
    let name = name.replace(dropped, "");
    name.trim_matches(crud).to_string()
}
