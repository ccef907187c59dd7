//! Deliberately broken Metal kernels: small changes, found in the text mechanically, applied in a
//! copy of the file and run on the emulator. A change must show, as a fault with a line or as a
//! wrong element; one that can't is named with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use mlx_fork::emulator::{Build, Emulator, Kernel, Launch, Numerics, Outcome, Settings};
use mlx_fork::mutants::lexer::Source;
use mlx_fork::mutants::operators::{Edit, edits};
use object::{Object, ObjectSection};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

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
    /// The line as it becomes, or what is deleted.
    after: String,
    text: String,
}

/// How a change showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caught {
    /// The translator or clang refuses it.
    Refused,
    /// The kernel's code is the same: the change is in what it has no use for.
    Same,
    /// A fault of this kind, at this place.
    Fault(String, String),
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
    if let Some(fault) = outcome.report.faults.first() {
        let place = fault.place().unwrap_or_default();
        let short = place.rsplit('/').next().unwrap_or_default().to_string();
        return Caught::Fault(fault.kind.clone(), short);
    }
    match (scenario.judge)(&outcome) {
        Some(wrong) => Caught::Element(wrong),
        None => Caught::No,
    }
}

/// Runs `count` changes of the scenario that change its code, and panics where one shows nowhere and is
/// not among `equivalent` (name and reason). Gives back the table's rows.
pub fn prove(
    scenario: &Scenario,
    (tree, emulator): (&Path, &(dyn Fn(&Path) -> Emulator + Sync)),
    (count, seed): (usize, u64),
    equivalent: &BTreeMap<String, String>,
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
    let mut proven: Vec<(Change, Caught)> = Vec::new();
    for batch in all.chunks(8) {
        let batch: Vec<_> = batch
            .par_iter()
            .map(|change| {
                (
                    change.clone(),
                    caught(scenario, change, (tree, &|p| emulator(p)), &code),
                )
            })
            .filter(|(_, caught)| !matches!(caught, Caught::Refused | Caught::Same))
            .collect();
        proven.extend(batch);
        if proven.len() >= count {
            break;
        }
    }
    proven.truncate(count);
    // By place, or by file and line as it becomes.
    let reason = |change: &Change| {
        let short = change.name.split(':').next().unwrap();
        let line = format!("{short}: {}", change.after);
        equivalent.get(&change.name).or(equivalent.get(&line))
    };
    let mut table = String::new();
    let mut unseen = Vec::new();
    for (change, caught) in &proven {
        let what = match caught {
            Caught::Fault(kind, place) => format!("{kind} at {place}"),
            Caught::Element(words) => words.clone(),
            Caught::No if reason(change).is_some() => {
                format!("equivalent: {}", reason(change).unwrap())
            }
            _ => {
                unseen.push(format!("{}: {}", change.name, change.after));
                "nothing".into()
            }
        };
        writeln!(
            table,
            "{}\t{}\t{}\t{what}",
            scenario.name, change.name, change.after
        )
        .unwrap();
    }
    assert!(
        unseen.is_empty(),
        "{}: nothing shows\n{}\nof\n{table}",
        scenario.name,
        unseen.join("\n")
    );
    table
}
