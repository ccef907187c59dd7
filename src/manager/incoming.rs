//! Reads somebody's changes: a diff, a mailbox, or commits of a clone. Mail is taken apart by git's own `mailsplit` and `mailinfo`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result, reading, writing};
use crate::manager::Manager;
use crate::manager::edit::{Decided, Finished};
use crate::manager::import::{Imported, NewFeature};
use crate::manager::placing::place_all;
use crate::manager::plan::Plan;
use crate::process::Command;
use crate::series;
use crate::series::header::Header;
use crate::series::patch::{FilePatch, Patch};

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Files with diffs or mails.
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
    let incoming = read(manager, request, scratch.path())?;
    if incoming.is_empty() {
        return Err(Error::usage("there is no change in it"));
    }
    let mut placed = Placed::default();
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

fn checked_name(name: &str) -> Result<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(word) {
        return Err(Error::usage(format!("\"{name}\" is no name of a feature"))
            .hint("a name is of a-z, 0-9 and _"));
    }
    Ok(name.to_string())
}

/// The head of a patch by the person who runs this.
fn head(manager: &Manager<'_>, name: &str, subject: &str, body: &str) -> Result<String> {
    let output = git(manager.layout.mlx_local())
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
    Ok(render(who, mail, seconds, offset, name, subject, body))
}

/// The head of a patch file that wasn't sent upstream.
pub fn render(
    who: &str,
    mail: &str,
    seconds: i64,
    offset: i32,
    name: &str,
    subject: &str,
    body: &str,
) -> String {
    let body = body.trim();
    let gap = if body.is_empty() { "" } else { "\n\n" };
    let header = Header {
        name: who.into(),
        email: mail.into(),
        seconds,
        offset,
        message: format!(
            "{}\n\n{body}{gap}Upstream-Status: not-sent\nFeature: {name}\n",
            subject.split_whitespace().collect::<Vec<_>>().join(" ")
        ),
        feature: name.into(),
        upstream: series::header::Upstream::NotSent,
    };
    header.to_string()
}

fn git(folder: impl AsRef<Path>) -> Command {
    Command::new("git")
        .arg("-C")
        .arg(folder.as_ref())
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
}

/// Reads everything that the request names.
fn read(manager: &Manager<'_>, request: &Request, scratch: &Path) -> Result<Vec<Incoming>> {
    let mut texts = Vec::new();
    if let Some((clone, range)) = &request.commits {
        let mails = scratch.join("range");
        git(clone)
            .args([
                "format-patch",
                "--quiet",
                "--full-index",
                "--no-renames",
                "--no-signature",
            ])
            .args(["--no-ext-diff", "--no-attach", "--output-directory"])
            .arg(&mails)
            .arg("--end-of-options")
            .arg(range)
            .run()
            .doing(|| format!("reading {range} of {}", clone.display()))?;
        let mut names: Vec<PathBuf> = fs::read_dir(&mails)
            .map(|items| items.filter_map(|item| Some(item.ok()?.path())).collect())
            .unwrap_or_default();
        names.sort();
        texts.extend(names);
    }
    texts.extend(request.files.iter().cloned());
    let mut incoming = Vec::new();
    for (at, path) in texts.iter().enumerate() {
        let bytes = fs::read(path).doing(reading(path))?;
        let doing = || format!("importing {}", path.display());
        if bytes.starts_with(b"From ") {
            let folder = scratch.join(format!("mails-{at}"));
            fs::create_dir(&folder).doing(writing(&folder))?;
            git(scratch)
                .arg("mailsplit")
                // A mail program ends each line in CR LF; otherwise a CR is the file's own.
                .args((!ends_in_crlf(&bytes)).then_some("--keep-cr"))
                .arg(format!("-o{}", folder.display()))
                .arg(std::path::absolute(path).doing(reading(path))?)
                .run()
                .doing(doing)?;
            let mut mails: Vec<PathBuf> = fs::read_dir(&folder)
                .doing(reading(&folder))?
                .filter_map(|item| Some(item.ok()?.path()))
                .collect();
            mails.sort();
            let single = mails.len() == 1 && texts.len() == 1;
            for mail in mails {
                let name = request.name.as_deref().filter(|_| single);
                incoming.push(read_mail(&mail, name).doing(doing)?);
            }
        } else {
            let name = request.name.clone().ok_or_else(|| {
                Error::usage(
                    "a diff without a mail around it has no subject to name the feature by",
                )
                .hint("name it: --name FEATURE")
                .doing(doing())
            })?;
            let subject = request.subject.clone().unwrap_or(format!("Add {name}"));
            incoming.push(Incoming {
                head: head(manager, &checked_name(&name)?, &subject, "")?,
                name,
                files: diffs(&bytes).doing(doing)?,
            });
        }
    }
    if request.name.is_some() && incoming.len() > 1 {
        return Err(Error::usage(format!(
            "--name is for one change, and there are {}",
            incoming.len()
        )));
    }
    Ok(incoming)
}

/// True where the first line ends in CR LF.
fn ends_in_crlf(bytes: &[u8]) -> bool {
    let first = bytes.split(|b| *b == b'\n').next();
    first.is_some_and(|line| line.ends_with(b"\r"))
}

fn read_mail(mail: &Path, name: Option<&str>) -> Result<Incoming> {
    let folder = mail.parent().unwrap_or(mail);
    let (message, patch) = (folder.join("message"), folder.join("patch"));
    let script = "git mailinfo --encoding=UTF-8 \"$1\" \"$2\" < \"$3\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([&message, &patch])
        .arg(mail)
        .env("LC_ALL", "C")
        .run()?;
    let field = |key: &str| {
        let mut lines = output.stdout.lines();
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found.map(str::to_string)
    };
    let missing = |key: &str| Error::usage(format!("the mail has no {key}"));
    let subject = field("Subject").ok_or_else(|| missing("subject"))?;
    let who = field("Author").ok_or_else(|| missing("author"))?;
    let mail_address = field("Email").ok_or_else(|| missing("author's address"))?;
    let date = field("Date").ok_or_else(|| missing("date"))?;
    let (seconds, offset) = series::header::parse_date(&date)?;
    let body = fs::read_to_string(&message).doing(reading(&message))?;
    let body: Vec<&str> = body
        .lines()
        .filter(|line| !line.starts_with("Feature: ") && !line.starts_with("Upstream-Status: "))
        .collect();
    let name = match name {
        Some(name) => checked_name(name)?,
        None => slug(&subject),
    };
    let bytes = fs::read(&patch).doing(reading(&patch))?;
    Ok(Incoming {
        head: render(
            &who,
            &mail_address,
            seconds,
            offset,
            &name,
            &subject,
            &body.join("\n"),
        ),
        name,
        files: diffs(&bytes)?,
    })
}

/// A name from a subject: `Add fast sort` is `add_fast_sort`.
fn slug(subject: &str) -> String {
    let words = subject
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    let words: Vec<&str> = words.split_whitespace().take(6).collect();
    match words.join("_") {
        name if name.is_empty() => "imported".into(),
        name => name,
    }
}

/// The diffs in a text: from the first `diff --git`, without a signature at the end.
fn diffs(bytes: &[u8]) -> Result<Vec<FilePatch>> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        Error::usage(format!("line {line} isn't UTF-8"))
    })?;
    let start = match text.find("\ndiff --git ") {
        _ if text.starts_with("diff --git ") => 0,
        Some(at) => at + 1,
        None => {
            return Err(Error::usage("it has no line `diff --git …`")
                .hint("make it with `git diff --full-index --no-renames`"));
        }
    };
    let first = text[..start].matches('\n').count() + 1;
    let mut body = &text[start..];
    if let Some(at) = body.rfind("\n-- \n")
        && body[at + 5..].lines().count() <= 2
    {
        body = &body[..=at];
    }
    let body = body.trim_end_matches('\n');
    // Short ids name nothing for sure.
    let whole = |line: &&str| match line.strip_prefix("index ") {
        Some(rest) => rest.split(' ').next().is_some_and(|ids| ids.len() == 82),
        None => true,
    };
    let lines: Vec<&str> = body.split('\n').filter(whole).collect();
    Patch::diffs(&format!("{}\n", lines.join("\n")), first)
        .map_err(|error| error.hint("`git diff --full-index --no-renames` makes a diff that can be imported: text, no modes, no links"))
}
