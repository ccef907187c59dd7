//! Deliberately broken Metal kernels: small changes, found in the text mechanically, applied in a
//! copy of the file and run on the emulator. A change must show: as a fault at its own line or
//! where the book says, or as a wrong element. One that does not is in the book with the reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mlx_fork::emulator::{
    Build, Emulator, Fault, Frame, Kernel, Launch, Numerics, Outcome, Settings,
};
use mlx_fork::mutants::lexer::Source;
use mlx_fork::mutants::operators::{Edit, edits};
use object::{Object, ObjectSection};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

#[path = "broken_book.rs"]
mod book;

pub use book::Book;

/// A kernel runs at most this long, or hangs: sound ones take milliseconds.
const LIMIT: Duration = Duration::from_secs(60);

pub type Describe<'a> = Box<dyn for<'k> Fn(&'k Kernel<'k>) -> Launch<'k> + Sync + 'a>;
pub type Judge<'a> = Box<dyn Fn(&Outcome) -> Option<String> + Sync + 'a>;

/// A launch whose result can be judged.
pub struct Scenario<'a> {
    /// Its name, for the table.
    pub name: &'static str,
    /// The .metal file, by its path in MLX's tree.
    pub file: &'static str,
    /// The kernel.
    pub kernel: String,
    /// The files that are changed, by their paths in MLX's tree, and the functions whose bodies
    /// are.
    pub changed: &'static [(&'static str, &'static [&'static str])],
    /// Binds the buffers.
    pub launch: Describe<'a>,
    /// Nothing, or the wrong element in words.
    pub judge: Judge<'a>,
}

/// A change of one file.
#[derive(Debug, Clone)]
pub struct Change {
    /// `FILE:LINE:COLUMN:OPERATOR`, the file without its folders.
    pub name: String,
    operator: &'static str,
    file: &'static str,
    /// The lines that are other than they were, the last one too.
    lines: (usize, usize),
    /// The line as it becomes, or what is deleted.
    after: String,
    text: String,
}

impl Change {
    /// Whether the book means this one: by its name, or by file and line as it becomes.
    fn is(&self, key: &str) -> bool {
        let short = self.name.split(':').next().unwrap();
        key == self.name || key == format!("{short}: {}", self.after)
    }
}

/// A fault of a changed kernel.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `KIND at FILE: LINE'S TEXT`, or the kind alone where it has no place.
    what: String,
    /// `KIND at FILE:LINE`.
    place: String,
    /// It names a line that was changed.
    at_the_change: bool,
}

/// How a change showed.
#[derive(Debug, Clone)]
pub enum Caught {
    /// The translator or clang refuses it.
    Refused,
    /// The kernel's code is the same: the change is in what it has no use for.
    Same,
    /// Faults, at least one.
    Faults(Vec<Seen>),
    /// A wrong element, in words.
    Element(String),
    /// It did not.
    No,
}

/// The body that begins after token `name` and its brackets, as bytes.
fn body(source: &Source, name: usize) -> Option<(usize, usize)> {
    let mut open = name + 1;
    if source.word(open) == "(" {
        open = source.close(open)? + 1;
    }
    if source.word(open) == "const" {
        open += 1;
    }
    let close = (source.word(open) == "{").then(|| source.close(open))??;
    Some((source.tokens[open].start, source.tokens[close].end))
}

/// The bodies of functions: `NAME`, or `STRUCT::NAME`.
fn bodies(source: &Source, functions: &[&str]) -> Vec<(usize, usize)> {
    let named = |name: &str, within: (usize, usize)| -> Vec<(usize, usize)> {
        let inside = |i: &usize| {
            let start = source.tokens[*i].start;
            source.word(*i) == name && within.0 <= start && start < within.1
        };
        let tokens = (0..source.tokens.len()).filter(inside);
        tokens.filter_map(|i| body(source, i)).collect()
    };
    let whole = (0, source.text.len());
    let mut found = Vec::new();
    for function in functions {
        let bodies = match function.split_once("::") {
            Some((of, name)) => {
                let structs = named(of, whole).into_iter();
                structs.flat_map(|within| named(name, within)).collect()
            }
            None => named(function, whole),
        };
        assert!(!bodies.is_empty(), "there is no function {function}");
        found.extend(bodies);
    }
    found
}

/// Barriers that order nothing any more.
fn weakened(source: &Source) -> Vec<Edit> {
    let flag = |i: &usize| source.word(*i) == "mem_threadgroup" || source.word(*i) == "mem_device";
    let tokens = (0..source.tokens.len()).filter(flag);
    tokens
        .map(|i| Edit {
            operator: "weaken",
            start: source.tokens[i].start,
            end: source.tokens[i].end,
            with: "mem_none".into(),
        })
        .collect()
}

/// All changes of a scenario's files; `tree` has them.
pub fn changes(scenario: &Scenario, tree: &Path) -> Vec<Change> {
    let mut all = Vec::new();
    for (file, functions) in scenario.changed {
        let text = std::fs::read_to_string(tree.join(file)).unwrap();
        let source = Source::new(&text);
        let inside = bodies(&source, functions);
        let mut found = edits(&source);
        found.extend(weakened(&source));
        for edit in found {
            if !inside
                .iter()
                .any(|(from, to)| *from < edit.start && edit.end < *to)
            {
                continue;
            }
            let (line, column) = source.place(edit.start);
            let short = file.rsplit('/').next().unwrap();
            let changed = format!("{}{}{}", &text[..edit.start], edit.with, &text[edit.end..]);
            let after = match edit.operator {
                "delete" => format!("without {}", &text[edit.start..edit.end]),
                _ => changed.lines().nth(line - 1).unwrap().trim().into(),
            };
            all.push(Change {
                name: format!("{short}:{line}:{column}:{}", edit.operator),
                operator: edit.operator,
                file,
                lines: (line, line + edit.with.matches('\n').count()),
                after,
                text: changed,
            });
        }
    }
    all
}

/// So many of them in an order that the seed chooses, each operator in its turn.
pub fn sample(changes: Vec<Change>, seed: u64) -> Vec<Change> {
    let key = |name: &str| Sha256::digest(format!("{seed} {name}"));
    let mut by: BTreeMap<&str, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by.entry(change.operator).or_default().push(change);
    }
    for group in by.values_mut() {
        group.sort_by_key(|change| key(&change.name));
    }
    let most = by.values().map(Vec::len).max().unwrap_or(0);
    let turns = (0..most).flat_map(|turn| by.values().filter_map(move |g| g.get(turn).cloned()));
    turns.collect()
}

/// The instructions of a library.
fn code(library: &Path) -> Vec<u8> {
    let bytes = std::fs::read(library).unwrap();
    let file = object::File::parse(&bytes[..]).unwrap();
    let part = |name| {
        file.section_by_name(name)
            .map(|s| s.data().unwrap().to_vec())
    };
    [".text", "__text"].into_iter().find_map(part).unwrap()
}

/// A folder with the scenario's files, one of them as changed. Its name is as long as that of any
/// other: the code has the files' names in it, and must not differ by them.
fn folder(scenario: &Scenario, tree: &Path, change: Option<&Change>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, _) in scenario.changed {
        let place = folder.path().join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        match change.filter(|change| change.file == *file) {
            Some(change) => std::fs::write(&place, &change.text).unwrap(),
            None => std::fs::write(&place, std::fs::read(tree.join(file)).unwrap()).unwrap(),
        }
    }
    folder
}

/// Runs a scenario; nothing where its code is the `sound` one's.
fn run(
    scenario: &Scenario,
    emulator: &Emulator,
    sound: Option<&[u8]>,
) -> Result<Option<(Vec<u8>, Outcome)>, mlx_fork::Error> {
    let program = emulator.read(scenario.file)?;
    let kernel = program.kernel(&scenario.kernel, Build::Checked, Numerics::default())?;
    let code = code(&kernel.library);
    if sound == Some(&code[..]) {
        return Ok(None);
    }
    let settings = Settings {
        seed: 3,
        ..Settings::default()
    };
    let launch = (scenario.launch)(&kernel);
    let outcome = launch.settings(settings).limit(LIMIT).run()?;
    Ok(Some((code, outcome)))
}

fn caught(
    scenario: &Scenario,
    change: &Change,
    (tree, emulator): (&Path, &dyn Fn(&Path) -> Emulator),
    sound: &[u8],
) -> Caught {
    let folder = folder(scenario, tree, Some(change));
    let outcome = match run(scenario, &emulator(folder.path()), Some(sound)) {
        Ok(Some((_, outcome))) => outcome,
        Ok(None) => return Caught::Same,
        Err(error) if error.kind() == mlx_fork::Kind::Gate => return Caught::Refused,
        Err(error) if error.kind() == mlx_fork::Kind::Usage => return Caught::Refused,
        Err(error) => panic!("{}: {error}", change.name),
    };
    let faults = &outcome.report.faults;
    if !faults.is_empty() {
        let seen = |fault| seen(scenario, change, (tree, folder.path()), fault);
        return Caught::Faults(faults.iter().map(seen).collect());
    }
    match (scenario.judge)(&outcome) {
        Some(wrong) => Caught::Element(wrong),
        None => Caught::No,
    }
}

/// What a fault says of the change.
fn seen(
    scenario: &Scenario,
    change: &Change,
    (tree, folder): (&Path, &Path),
    fault: &Fault,
) -> Seen {
    let is = |frame: &Frame, file: &str| frame.file.ends_with(file);
    let (first, last) = change.lines;
    let at_the_change = fault
        .frames
        .iter()
        .chain(&fault.other)
        .any(|frame| is(frame, change.file) && (first..=last).contains(&(frame.line as usize)));
    let place = fault.frames.first().and_then(|frame| {
        let mut files = scenario.changed.iter().map(|(file, _)| *file);
        let file = match files.find(|file| is(frame, file)) {
            Some(file) => folder.join(file),
            None => tree.join(&frame.file),
        };
        let text = std::fs::read_to_string(&file).ok()?;
        let line = text.lines().nth((frame.line as usize).checked_sub(1)?)?;
        let short = file.file_name()?.to_str()?;
        let number = frame.line;
        Some((
            format!("{short}: {}", line.trim()),
            format!("{short}:{number}"),
        ))
    });
    let kind = &fault.kind;
    let (what, place) = match place {
        Some((what, place)) => (format!("{kind} at {what}"), format!("{kind} at {place}")),
        None => (kind.clone(), fault.to_string()),
    };
    Seen {
        what,
        place,
        at_the_change,
    }
}

/// Runs the first `count` changes of the scenario that change its code, and those that the book
/// names; panics where one does not show as it must. Gives back the table's rows.
pub fn prove(
    scenario: &Scenario,
    (tree, emulator): (&Path, &(dyn Fn(&Path) -> Emulator + Sync)),
    (count, seed): (usize, u64),
    book: &Book,
) -> String {
    let unchanged = folder(scenario, tree, None);
    let (code, sound) = run(scenario, &emulator(unchanged.path()), None)
        .unwrap()
        .unwrap();
    sound.report.clean().unwrap();
    assert_eq!(
        (scenario.judge)(&sound),
        None,
        "{} is not sound",
        scenario.name
    );

    let all = sample(changes(scenario, tree), seed);
    let look = |changes: &[Change]| -> Vec<(Change, Caught)> {
        let caught = |change: &Change| {
            let caught = caught(scenario, change, (tree, &|p| emulator(p)), &code);
            (change.clone(), caught)
        };
        changes.par_iter().map(caught).collect()
    };
    let tells = |(_, caught): &(Change, Caught)| !matches!(caught, Caught::Refused | Caught::Same);
    let mut tried: Vec<(Change, Caught)> = Vec::new();
    for batch in all.chunks(8) {
        tried.extend(look(batch));
        if tried.iter().filter(|one| tells(one)).count() >= count {
            break;
        }
    }
    let (mut proven, unused): (Vec<_>, Vec<_>) = tried.into_iter().partition(tells);
    assert!(
        proven.len() >= count,
        "{}: only {} changes of {} change its code",
        scenario.name,
        proven.len(),
        all.len()
    );
    proven.truncate(count);
    // What the book says must be so, whether or not it is among the first.
    let before = |change: &&Change| {
        let mut others = proven.iter().chain(&unused);
        others.any(|(other, _)| other.name == change.name)
    };
    let named = all.iter().filter(|change| book.names(change));
    let named: Vec<Change> = named.filter(|change| !before(change)).cloned().collect();
    let named = look(&named);
    let every = || proven.iter().chain(&unused).chain(&named);
    let mut table = String::new();
    let mut wrong = book.unneeded(every());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (change, caught) in proven.iter().chain(&named).chain(&unused) {
        let (class, what) = match book.judge(change, caught) {
            Ok(None) => continue,
            Ok(Some(shown)) => shown,
            Err(why) => {
                wrong.push(format!("{}: {}: {why}", change.name, change.after));
                ("wrong", why)
            }
        };
        *counts.entry(class).or_default() += 1;
        let name = scenario.name;
        table += &format!(
            "{name}\t{}\t{}\t{class}: {what}\n",
            change.name, change.after
        );
    }
    table += &format!("{}: {counts:?}\n", scenario.name);
    assert!(
        wrong.is_empty(),
        "{}:\n{}\nof\n{table}",
        scenario.name,
        wrong.join("\n")
    );
    table
}
