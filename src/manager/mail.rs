//! Takes apart what somebody sent: mails by git's own `mailsplit` and `mailinfo`, commits of a
//! clone as such mails, diffs as they are. Where the changes go is `placing`'s.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::error::{Doing, Error, Result, reading, writing};
use crate::git;
use crate::manager::Manager;
use crate::manager::incoming::{Incoming, Request, checked_name, head, render};
use crate::process::Command;
use crate::series;
use crate::series::patch::{FilePatch, Patch};

/// Something to read, and what it is called.
struct Text {
    label: String,
    bytes: Vec<u8>,
}

/// Reads everything that the request names; `empty` gets the subjects of mails without a change.
///
/// # Errors
/// [`crate::Kind::Usage`], with its name, for what can't be read as changes of text.
pub fn read(
    manager: &Manager<'_>,
    request: &Request,
    scratch: &Path,
    empty: &mut Vec<String>,
) -> Result<Vec<Incoming>> {
    let mut texts = Vec::new();
    if let Some((clone, range)) = &request.commits {
        texts.extend(commits(clone, range, scratch)?);
    }
    for path in &request.files {
        texts.push(file(path)?);
    }
    let mut mails = Vec::new();
    let mut incoming = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let doing = || format!("importing {}", text.label);
        if is_mail(&text.bytes) {
            let folder = scratch.join(format!("mails-{at}"));
            let split = split(&text.bytes, &folder).doing(doing)?;
            let many = split.len() > 1;
            for (number, mail) in (1..).zip(split) {
                let label = match many {
                    true => format!("{}, mail {number}", text.label),
                    false => text.label.clone(),
                };
                let mail = read_mail(&mail).doing(|| format!("importing {label}"))?;
                match mail.patch.as_deref().map(diffs).transpose() {
                    Ok(Some(files)) => mails.push((mail, files)),
                    Ok(None) => empty.push(mail.subject),
                    Err(error) => return Err(error.doing(format!("importing {label}"))),
                }
            }
        } else {
            let files = diffs(&text.bytes).doing(doing)?;
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
                files,
            });
        }
    }
    let count = mails.len() + incoming.len();
    if request.name.is_some() && count > 1 {
        return Err(Error::usage(format!(
            "--name is for one change, and there are {count}"
        )));
    }
    let series = series::load(manager.layout)?;
    let mut taken: Vec<String> = series.features.into_iter().map(|f| f.name).collect();
    for (mail, files) in mails {
        let name = match &request.name {
            Some(name) => checked_name(name)?,
            None => free(&slug(&mail.subject), &taken),
        };
        taken.push(name.clone());
        incoming.push(Incoming {
            head: mail.head(&name)?,
            name,
            files,
        });
    }
    Ok(incoming)
}

/// The bytes of a file that a person named.
fn file(path: &Path) -> Result<Text> {
    let label = path.display().to_string();
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        let label = "standard input".to_string();
        let mut input = std::io::stdin().lock();
        input
            .read_to_end(&mut bytes)
            .doing(|| format!("reading {label}"))?;
        return Ok(Text { label, bytes });
    }
    let wrong = |what: &str, hint: &str| Err(Error::usage(format!("{label} {what}")).hint(hint));
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return wrong("isn't there", "name a file with a diff or with mails");
        }
        Ok(meta) if meta.is_dir() => {
            return wrong(
                "is a folder",
                "name the files in it; --from CLONE RANGE takes commits of a clone",
            );
        }
        _ => {}
    }
    let bytes = fs::read(path).doing(reading(path))?;
    Ok(Text { label, bytes })
}

/// The commits of a clone as mails.
///
/// # Errors
/// [`crate::Kind::Usage`] for a range that has merges: what they changed themselves is in no
/// commit's own difference, and would be lost.
fn commits(clone: &Path, range: &str, scratch: &Path) -> Result<Vec<Text>> {
    let doing = || format!("reading {range} of {}", clone.display());
    if !range.contains("..") {
        return Err(Error::usage("it isn't FROM..TO")
            .hint(format!("one commit is {range}~1..{range}"))
            .doing(doing()));
    }
    let git = || git::program().arg("-C").arg(clone);
    let merges = git()
        .args(["-c", "log.showSignature=false", "log", "--merges"])
        .args(["--max-count=5", "--format=%h %s", "--end-of-options", range])
        .output()?;
    if !merges.success() {
        let said = merges.stderr.lines().next().unwrap_or_default().to_string();
        return Err(Error::usage(said)
            .hint("--from takes the folder of a clone, and a range of its commits: FROM..TO")
            .doing(doing()));
    }
    if !merges.stdout.is_empty() {
        let list: Vec<String> = merges
            .stdout
            .lines()
            .map(|l| format!("\n    {l}"))
            .collect();
        return Err(Error::usage(format!(
            "it has merges, whose own changes no single commit has{}",
            list.concat()
        ))
        .hint("make the range straight (git rebase), or import it as one: `git diff --full-index --no-renames FROM...TO > their.diff`")
        .doing(doing()));
    }
    let folder = scratch.join("range");
    // Whatever the person's settings are.
    git()
        .args([
            "format-patch",
            "--quiet",
            "--full-index",
            "--no-renames",
            "--unified=3",
        ])
        .args([
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "--no-relative",
            "--inter-hunk-context=0",
        ])
        .args([
            "--no-signature",
            "--no-attach",
            "--no-cover-letter",
            "--no-notes",
            "--no-base",
        ])
        .args([
            "--no-ext-diff",
            "--no-textconv",
            "--subject-prefix=PATCH",
            "--no-color",
            "--no-signoff",
            "--encoding=UTF-8",
        ])
        .arg("--output-directory")
        .arg(&folder)
        .args(["--end-of-options", range])
        .run()
        .doing(doing)?;
    let mut names: Vec<_> = fs::read_dir(&folder)
        .map(|items| items.filter_map(|item| Some(item.ok()?.path())).collect())
        .unwrap_or_default();
    names.sort();
    let mail = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().display();
        Ok(Text {
            label: format!("{name} of {range}"),
            bytes: fs::read(path).doing(reading(path))?,
        })
    };
    names.iter().map(mail).collect()
}

/// True for a mailbox, and for one mail as mail programs save it: its head names who it is from.
fn is_mail(bytes: &[u8]) -> bool {
    let bytes = without_mark(bytes);
    if bytes.starts_with(b"From ") {
        return true;
    }
    let lines = bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
    let mut head = lines.take_while(|line| !line.is_empty());
    let is_field = |line: &[u8]| {
        let key = line.split(|b| *b == b':').next().unwrap_or_default();
        line.contains(&b':') && key.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let mut from = false;
    head.all(|line| {
        from |= line.len() > 5 && line[..5].eq_ignore_ascii_case(b"from:");
        line.starts_with(b" ") || line.starts_with(b"\t") || is_field(line)
    }) && from
}

/// What an editor may put before a text of Unicode.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The mails of a mailbox, as files in `folder`.
fn split(bytes: &[u8], folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    fs::create_dir(folder).doing(writing(folder))?;
    let mailbox = folder.with_extension("mbox");
    fs::write(&mailbox, without_mark(bytes)).doing(writing(&mailbox))?;
    // A mail program ends each line in CR LF; otherwise a CR is the file's own.
    let first = bytes.split(|b| *b == b'\n').next();
    let by_mail_program = first.is_some_and(|line| line.ends_with(b"\r"));
    git::program()
        .current_dir(folder)
        .args(["mailsplit", "-b"])
        .args((!by_mail_program).then_some("--keep-cr"))
        .arg(format!("-o{}", folder.display()))
        .arg(&mailbox)
        .run()?;
    let mut mails: Vec<_> = fs::read_dir(folder)
        .doing(reading(folder))?
        .filter_map(|item| Some(item.ok()?.path()))
        .collect();
    mails.sort();
    Ok(mails)
}

/// A mail taken apart.
struct Mail {
    who: (String, String),
    when: (i64, i32),
    subject: String,
    body: String,
    /// From its first diff on; `None` where it has none.
    patch: Option<Vec<u8>>,
}

impl Mail {
    fn head(&self, name: &str) -> Result<String> {
        let who = (self.who.0.as_str(), self.who.1.as_str());
        render(who, self.when, name, &self.subject, &self.body)
    }
}

fn read_mail(mail: &Path) -> Result<Mail> {
    let folder = mail.parent().unwrap_or(mail);
    let (message, patch) = (
        folder.with_extension("message"),
        folder.with_extension("patch"),
    );
    // Of the tags before a subject only `[PATCH]` goes: MLX's own have a meaning.
    let script = "git mailinfo -b --no-scissors --encoding=UTF-8 \"$1\" \"$2\" < \"$3\"";
    let output = git::unhooked(Command::new("sh"))
        .current_dir(folder)
        .args(["-c", script, "sh"])
        .args([&message, &patch])
        .arg(mail)
        .run()?;
    let field = |key: &str, what: &str| {
        let mut lines = output.stdout.lines();
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found
            .map(str::to_string)
            .ok_or_else(|| Error::usage(format!("the mail has no {what}")))
    };
    let date = field("Date", "date")?;
    // `… +0000 (UTC)`, and zones by name.
    let date = date.split(" (").next().unwrap_or_default().trim();
    let date = ["GMT", "UTC", "UT"]
        .iter()
        .find_map(|zone| date.strip_suffix(zone))
        .map_or(date.to_string(), |rest| format!("{rest}+0000"));
    let bytes = fs::read(&message).doing(reading(&message))?;
    let body = String::from_utf8(bytes).map_err(|_| Error::usage("its message isn't UTF-8"))?;
    let body: Vec<&str> = body
        .lines()
        .filter(|line| !line.starts_with("Feature: ") && !line.starts_with("Upstream-Status: "))
        .collect();
    let patch = fs::read(&patch).doing(reading(&patch))?;
    let line = |line: &[u8]| {
        [&b"diff "[..], b"--- a/", b"@@ "]
            .iter()
            .any(|s| line.starts_with(s))
    };
    let has_diff = patch.split(|b| *b == b'\n').any(line);
    Ok(Mail {
        who: (
            field("Author", "author")?,
            field("Email", "author's address")?,
        ),
        when: series::header::parse_date(&date)?,
        subject: field("Subject", "subject")?,
        body: body.join("\n"),
        patch: has_diff.then_some(patch),
    })
}

/// A name from a subject: `Add fast sort` is `add_fast_sort`.
fn slug(subject: &str) -> String {
    let words = subject
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), " ");
    let words: Vec<&str> = words.split_whitespace().take(6).collect();
    let mut name = words.join("_");
    name.truncate(60);
    if name.is_empty() {
        "imported".into()
    } else {
        name
    }
}

/// The name, with a number behind it where it is taken.
fn free(name: &str, taken: &[String]) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|number: usize| format!("{name}_{number}"));
    let mut names = std::iter::once(name.to_string()).chain(numbered);
    names.find(is_free).unwrap_or_default()
}

/// The diffs in a text: from the first `diff --git`, without a signature at the end.
fn diffs(bytes: &[u8]) -> Result<Vec<FilePatch>> {
    let bytes = without_mark(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        Error::usage(format!("line {line} isn't UTF-8"))
    })?;
    let mut lines: Vec<&str> = text.split('\n').collect();
    let is_first = |line: &&str| line.starts_with("diff --git ");
    let Some(start) = lines.iter().position(is_first) else {
        return Err(
            Error::usage("it has no line `diff --git …`").hint(format!("make it with {HOW}"))
        );
    };
    let hunk = |line: &&str| line.starts_with("@@ -") || line.starts_with("+++ ");
    if let Some(at) = lines[..start].iter().position(hunk) {
        return Err(Error::usage(format!(
            "line {}: a change before the first line `diff --git …`, which would be left out",
            at + 1
        ))
        .hint(format!("make it with {HOW}")));
    }
    // git ends this line so in no diff of its own: a mail or an editor ended all lines so.
    if lines[start].ends_with('\r') {
        lines = lines
            .iter()
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect();
    }
    let mut lines = &lines[start..];
    while let [rest @ .., ""] = lines {
        lines = rest;
    }
    // A removed line `- ` reads the same; lines of a hunk or another file follow it, or nothing.
    let goes_on = |line: &&str| line.starts_with(['+', '-', ' ', '@', '\\']) || is_first(line);
    if let Some(at) = lines.iter().rposition(|line| *line == "-- ")
        && at + 1 < lines.len()
        && !lines[at + 1..].iter().any(goes_on)
    {
        lines = &lines[..at];
    }
    // Short ids name nothing for sure.
    let whole = |line: &&&str| match line.strip_prefix("index ") {
        Some(rest) => rest.split(' ').next().is_some_and(|ids| ids.len() == 82),
        None => true,
    };
    let lines: Vec<&str> = lines.iter().filter(whole).copied().collect();
    Patch::diffs(&format!("{}\n", lines.join("\n")), start + 1).map_err(|error| {
        error.hint(format!(
            "{HOW} makes a diff that can be imported: text, no modes, no links"
        ))
    })
}

/// What makes a diff that can be read here, whatever a person's settings are.
const HOW: &str = "`git diff --full-index --no-renames --src-prefix=a/ --dst-prefix=b/`";

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n a\n+b\n";

    #[test]
    fn a_diff_is_found_whatever_stands_around_it() {
        let wanted = diffs(DIFF.as_bytes()).unwrap();
        let crlf = DIFF.replace('\n', "\r\n");
        let signed = format!("{DIFF}-- \n2.47.3\n\n\n");
        let footer = format!("{DIFF}-- \nlist mailing list\nlist@example.org\nhttps://x\n");
        for text in [
            format!("\u{feff}{DIFF}"),
            format!("commit 1\n\n    text\n\n{DIFF}\n\n"),
            crlf,
            signed,
            footer,
        ] {
            assert_eq!(diffs(text.as_bytes()).unwrap(), wanted, "{text:?}");
        }
        let removed = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n a\n-- \n";
        assert_eq!(
            diffs(removed.as_bytes()).unwrap()[0].hunks[0].lines.len(),
            2
        );
    }

    #[test]
    fn no_part_of_a_diff_is_left_out_silently() {
        let plain = DIFF.split_once('\n').unwrap().1;
        let error = diffs(format!("{plain}{DIFF}").as_bytes()).unwrap_err();
        assert!(error.what().contains("line 2: a change before"), "{error}");
        assert!(diffs(plain.as_bytes()).is_err());
    }

    #[test]
    fn a_mail_is_told_from_a_diff_by_its_head() {
        let mails = [
            "From 1 Mon\nFrom: a\n\n",
            "Return-Path: <a>\r\nfrom: a <b>\r\n\tfolded\r\nSubject: s\r\n\r\n",
            "\u{feff}From: a\nSubject: s\n\n",
        ];
        for text in mails {
            assert!(is_mail(text.as_bytes()), "{text:?}");
        }
        for text in [
            DIFF,
            "",
            "commit 1\nAuthor: a\n\n",
            "Index: x\n====\n",
            "Subject: s\n\n",
        ] {
            assert!(!is_mail(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_of_the_subject_and_free() {
        assert_eq!(slug("[CUDA] Fix: the äöü sort"), "cuda_fix_the_sort");
        assert_eq!(slug("…"), "imported");
        assert_eq!(slug(&"x".repeat(99)).len(), 60);
        let taken = ["a".to_string(), "a_2".into()];
        assert_eq!(free("a", &taken), "a_3");
        assert_eq!(free("b", &taken), "b");
    }
}
