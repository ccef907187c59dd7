//! A folder of evidence for a person's pull request: what the project's own commands report of
//! a feature, the exact commits, and an empty form. It writes no text for upstream and sends
//! nothing anywhere.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::bench::machine::{Machine, load_average};
use crate::composed::Composed;
use crate::config::Config;
use crate::error::{Doing, Error, Kind, Result, reading, writing};
use crate::git::{self, branch};
use crate::layout::Layout;
use crate::process::Command;
use crate::ui::Ui;

use super::manifest::{Evidence, Manifest};
use super::prepare::{self, branch_name, home, lock};

/// Upstream's form of a pull request, in its own tree.
const FORM: &str = ".github/pull_request_template.md";

/// What the bundle has of it, for a person to fill.
pub const PULL_REQUEST: &str = "pull-request.md";

/// One piece of evidence.
#[derive(Debug, Clone, Serialize)]
pub struct Piece {
    /// What it shows.
    pub name: String,
    /// The command, to be run again by anyone in the project's folder.
    pub command: String,
    /// Its standard output, by name in the folder.
    pub file: String,
    /// `exit code 0`.
    pub ending: String,
    /// Whether it ended well.
    pub passed: bool,
    /// How long it took.
    pub seconds: f64,
}

/// A bundle.
#[derive(Debug, Clone, Serialize)]
pub struct Bundle {
    /// The feature.
    pub feature: String,
    /// Where it is.
    pub folder: PathBuf,
    /// The branch's commit, and its tree.
    pub commit: String,
    /// The upstream commit that it stands on.
    pub onto: String,
    /// True while the overlay on disk still makes this branch's files.
    pub current: bool,
    /// The project's own commit, and whether files differ from it.
    pub project: String,
    /// The fork that the evidence was measured with.
    pub fork: Option<String>,
    /// The machine.
    pub machine: Machine,
    /// Processes that ran or waited in the minute before.
    pub load: Option<f64>,
    /// The evidence.
    pub pieces: Vec<Piece>,
    /// True where a person has written into `pull-request.md`; else it is upstream's form as it
    /// is, or nothing where upstream has none.
    pub filled: bool,
    /// The commit of the bundle before, and the file that tells the difference.
    pub before: Option<(String, String)>,
}

impl Bundle {
    /// An error of [`crate::Kind::Gate`] unless all evidence could be had.
    pub fn verdict(&self) -> Result<()> {
        let failed = self.pieces.iter().filter(|piece| !piece.passed);
        let names: Vec<&str> = failed.map(|piece| piece.name.as_str()).collect();
        match (names.is_empty(), self.pieces.is_empty()) {
            (true, false) => Ok(()),
            (true, true) => Err(Error::gate(
                "there is no evidence: patches/upstream.toml lists none",
            )),
            _ => Err(
                Error::gate(format!("these didn't end well: {}", names.join(", ")))
                    .hint(format!("what they said is in {}", self.folder.display())),
            ),
        }
        .doing(|| format!("bundling {}", self.feature))
    }
}

/// Where bundles that were made before are kept, as numbered references.
fn kept(feature: &str) -> String {
    format!("refs/mlx-fork/upstream-bundles/{feature}/")
}

/// Gathers the evidence for the branch that `prepare` made; `program` is this tool.
///
/// # Errors
/// [`crate::Kind::Usage`] where there is no branch. Evidence that fails is no error: it is in the
/// bundle, with what it said.
pub fn bundle(
    layout: &Layout,
    config: &Config,
    feature: &str,
    program: &Path,
    ui: &dyn Ui,
) -> Result<Bundle> {
    let manifest = Manifest::load(layout)?;
    let name = branch_name(feature);
    let tip = branch::Snapshot::find(layout, &format!("refs/heads/{name}"))?.ok_or_else(|| {
        Error::usage(format!("mlx_local has no branch {name}"))
            .doing(format!("bundling {feature}"))
            .hint(format!("`cargo xtask upstream prepare {feature}` makes it"))
    })?;
    let commit = tip.id();
    let [onto] = <[String; 1]>::try_from(branch::parents(layout, &commit)?).map_err(|_| {
        Error::usage(format!("{name} is a merge, or begins a history"))
            .doing(format!("bundling {feature}"))
    })?;
    let current = match prepare::prepare(layout, config, feature, Some(&onto), ui) {
        Ok(prepared) => tip.tree_id()? == prepared.tree,
        // The overlay has no place there any more; whatever else fails says nothing of it.
        Err(error) if matches!(error.kind(), Kind::Usage | Kind::Conflict) => {
            ui.warn(&error.to_string());
            false
        }
        Err(error) => return Err(error.doing(format!("bundling {feature}"))),
    };
    if !current {
        ui.warn(&format!(
            "{name} has other files than the overlay makes upon {onto:.10}: the evidence is of the overlay's"
        ));
    }
    let upstream = branch::Snapshot::find(layout, &onto)?;
    let form = upstream.map(|upstream| upstream.text(FORM)).transpose()?;
    let form = form.flatten().unwrap_or_default();
    let folder = home(layout).join(feature).join(&commit);
    std::fs::create_dir_all(&folder).doing(writing(&folder))?;
    let mut bundle = Bundle {
        feature: feature.into(),
        commit: commit.clone(),
        onto: onto.clone(),
        current,
        project: project(layout)?,
        fork: Composed::read(layout).map(|composed| composed.fork.id),
        machine: Machine::here(),
        load: load_average(),
        pieces: Vec::new(),
        filled: false,
        before: None,
        folder,
    };
    write(&bundle, "change.patch", &branch::patch(layout, &commit)?)?;
    bundle.filled = keep_form(&bundle, &form)?;
    let wanted = manifest.feature.get(feature);
    let cases = wanted.map_or("", |feature| &feature.bench);
    for evidence in &manifest.evidence {
        let words = [
            ("{feature}", feature),
            ("{onto}", &onto),
            ("{bench}", cases),
        ];
        let piece = gather(layout, &bundle, evidence, &words, program, ui)?;
        bundle.pieces.push(piece);
    }
    bundle.before = compare(layout, &bundle, ui)?;
    let text = serde_json::to_string_pretty(&bundle).map_err(|e| Error::bug(e.to_string()))?;
    write(&bundle, "evidence.json", &text)?;
    Ok(bundle)
}

/// Runs one of the project's commands and keeps what it prints.
fn gather(
    layout: &Layout,
    bundle: &Bundle,
    evidence: &Evidence,
    words: &[(&str, &str)],
    program: &Path,
    ui: &dyn Ui,
) -> Result<Piece> {
    let fill = |arg: &String| {
        let filled = words.iter();
        filled.fold(arg.clone(), |arg, (word, value)| arg.replace(word, value))
    };
    let args: Vec<String> = evidence.command.iter().map(fill).collect();
    let command = match args.first().map(String::as_str) {
        // This very program, not one that cargo would build first.
        Some("xtask") => Command::new(program).args(&args[1..]),
        _ => Command::new("cargo").args(&args),
    };
    ui.step(&format!("evidence: {}", evidence.name));
    let start = Instant::now();
    let log = layout.logs().join(format!("bundle-{}.log", evidence.name));
    let output = command
        .current_dir(layout.root())
        .log(log)
        .lines(|_, line| ui.progress(0, 0, line))?;
    let seconds = start.elapsed().as_secs_f64();
    write(bundle, &evidence.file, &output.stdout)?;
    if !output.success() {
        write(bundle, &format!("{}.stderr", evidence.file), &output.stderr)?;
    }
    let shown = Command::new("cargo").args(&args).display();
    Ok(Piece {
        name: evidence.name.clone(),
        command: shown,
        file: evidence.file.clone(),
        ending: output.ending(),
        passed: output.success(),
        seconds,
    })
}

/// What changed since the last bundle; this one is the last from now on.
fn compare(layout: &Layout, bundle: &Bundle, ui: &dyn Ui) -> Result<Option<(String, String)>> {
    let kept = kept(&bundle.feature);
    let made = branch::kept(layout, &kept)?;
    let other = made
        .iter()
        .rev()
        .find(|(_, commit)| *commit != bundle.commit);
    let difference = match other {
        None => None,
        Some((_, other)) => {
            let text = branch::range_diff(layout, other, &bundle.commit)?;
            write(bundle, "range-diff.txt", &text)?;
            Some((other.clone(), "range-diff.txt".to_string()))
        }
    };
    if made
        .last()
        .is_none_or(|(_, commit)| *commit != bundle.commit)
    {
        let _lock = lock(layout, ui)?;
        branch::keep(layout, &kept, &bundle.commit)?;
    }
    Ok(difference)
}

/// Puts the empty form there; one that a person has begun to fill stays, and is true.
fn keep_form(bundle: &Bundle, form: &str) -> Result<bool> {
    let path = bundle.folder.join(PULL_REQUEST);
    if path.exists() {
        let now = std::fs::read(&path).doing(reading(&path))?;
        return Ok(now != form.as_bytes());
    }
    std::fs::write(&path, form).doing(writing(&path))?;
    Ok(false)
}

/// The project's commit; with `, changed` where files differ from it.
fn project(layout: &Layout) -> Result<String> {
    let git = |args: &[&str]| {
        let command = git::program().arg("-C").arg(layout.root());
        command.args(args).output()
    };
    let head = git(&["rev-parse", "HEAD"])?;
    if !head.success() {
        return Ok("no git repository".into());
    }
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let clean = changed.success() && changed.stdout.trim().is_empty();
    let id = head.stdout.trim();
    Ok(if clean {
        id.into()
    } else {
        format!("{id}, changed")
    })
}

fn write(bundle: &Bundle, name: &str, text: &str) -> Result<()> {
    let path = bundle.folder.join(name);
    std::fs::write(&path, text).doing(writing(&path))
}
