//! `cargo xtask probe --artifact` and `--compare`: builds of any system, from their files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mlx_fork::layout::Layout;
use mlx_fork::macos::quick;
use mlx_fork::probe::artifact::{self, Artifact, Difference};
use mlx_fork::probe::kernels::Found;
use mlx_fork::probe::{Expected, binary};
use mlx_fork::run;
use mlx_fork::side::Side;
use mlx_fork::{Error, Result};
use serde::Serialize;

/// What is missing that is printed; all are in the JSON.
const SHOWN: usize = 8;

/// What was found out about the files of one `--artifact`.
#[derive(Debug, Serialize)]
struct Answer {
    libraries: Vec<Artifact>,
    /// What the series promises, and whether it is there.
    promised: Vec<(String, bool)>,
    /// Metal kernels that the series promises; none where nothing here computes with Metal.
    promised_kernels: Option<Vec<PromisedKernel>>,
    /// The build of our extension that was asked what it needs of MLX; none where there is none.
    asked: Option<Asked>,
    /// Functions and types of MLX that it needs and these libraries don't export.
    lacking: Option<Vec<String>>,
}

/// A build of our extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    /// For the system that the libraries are for, as far as is known.
    Extension,
    /// What `check-macos --quick` linked.
    Macos,
    /// This machine's, for libraries of macOS: it has no host code of Metal.
    CpuPart,
}

impl Asked {
    fn words(self) -> &'static str {
        match self {
            Asked::Extension => "our extension",
            Asked::Macos => "our extension for macOS",
            Asked::CpuPart => "the CPU part of our extension",
        }
    }
}

/// What our extension needs of MLX, as it is built for this machine and for macOS.
struct Needs {
    own: Result<Vec<String>>,
    macos: Option<Vec<String>>,
}

impl Needs {
    fn of(layout: &Layout) -> Self {
        let own = run::installed(layout, Side::Extension);
        let macos = quick::extension(layout);
        Needs {
            own: own.and_then(|build| binary::imports(&build.library)),
            macos: binary::imports(&macos).ok(),
        }
    }

    /// What the libraries must have.
    fn from(&self, libraries: &[Artifact]) -> Option<(Asked, &[String])> {
        let mut formats = libraries.iter().map(|library| &library.format);
        let foreign = cfg!(not(target_os = "macos")) && formats.any(|f| f.starts_with("Mach-O"));
        match (foreign, &self.macos, &self.own) {
            (true, Some(names), _) => Some((Asked::Macos, names)),
            (true, None, Ok(names)) => Some((Asked::CpuPart, names)),
            (false, _, Ok(names)) => Some((Asked::Extension, names)),
            (_, _, Err(_)) => None,
        }
    }
}

#[derive(Debug, Serialize)]
struct PromisedKernel {
    name: String,
    /// Whether all that is promised is there.
    ok: bool,
    found: String,
}

/// Prints what each file has.
pub fn show(
    files: &[PathBuf],
    pattern: Option<&str>,
    expected: &Expected,
    layout: &Layout,
    json: bool,
) -> Result<()> {
    let needs = Needs::of(layout);
    let mut answers = Vec::new();
    for file in files {
        answers.push(answer(artifact::read(file)?, expected, &needs));
    }
    if json {
        return print_json(&answers);
    }
    for answer in &answers {
        print(answer, pattern);
        match (needs.from(&answer.libraries), &answer.lacking, &needs.own) {
            (Some((asked, needed)), Some(lacking), _) => {
                print_lacking(asked, lacking, needed.len());
            }
            (_, _, Err(why)) => println!("  whether our extension would load is not known: {why}"),
            (_, _, Ok(_)) => {}
        }
    }
    Ok(())
}

fn answer(libraries: Vec<Artifact>, expected: &Expected, needs: &Needs) -> Answer {
    let exported: BTreeSet<&str> = libraries
        .iter()
        .flat_map(|library| library.functions.keys())
        .map(String::as_str)
        .collect();
    let symbols = expected.iter().flat_map(|promise| &promise.symbols);
    let promised = symbols.map(|name| (name.clone(), exported.contains(name.as_str())));
    let needed = needs.from(&libraries);
    Answer {
        asked: needed.map(|(asked, _)| asked),
        promised: promised.collect(),
        promised_kernels: promised_kernels(&libraries, expected),
        lacking: needed.map(|(_, needed)| artifact::lacking(&libraries, needed)),
        libraries,
    }
}

fn promised_kernels(libraries: &[Artifact], expected: &Expected) -> Option<Vec<PromisedKernel>> {
    if !libraries.iter().any(|library| library.metal) {
        return None;
    }
    let names = libraries.iter().flat_map(|library| library.kernels.keys());
    let sources = libraries.iter().flat_map(|library| &library.sources);
    let there = Found {
        names: names.cloned().collect(),
        sources: sources.cloned().collect(),
    };
    let entries = expected.iter().flat_map(|promise| &promise.kernels);
    let look = |entry| {
        let presence = there.look(entry);
        PromisedKernel {
            name: entry.parts().0.into(),
            ok: presence.is_kept(),
            found: presence.text(),
        }
    };
    Some(entries.map(look).collect())
}

fn print(answer: &Answer, pattern: Option<&str>) {
    for library in &answer.libraries {
        println!(
            "{}\n  {}, {}",
            library.file,
            library.format,
            counts(library)
        );
        if let Some(pattern) = pattern {
            print_named(library, pattern);
        }
    }
    for (name, there) in &answer.promised {
        println!("  {name}: {}", if *there { "present" } else { "absent" });
    }
    for kernel in answer.promised_kernels.iter().flatten() {
        println!("  kernel {}: {}", kernel.name, kernel.found);
    }
}

/// Whether our extension would load, as far as names tell.
fn print_lacking(asked: Asked, lacking: &[String], needed: usize) {
    let what = asked.words();
    match lacking.len() {
        0 => println!(
            "  {what} would load, by names: all {needed} functions and types of MLX that it uses are here"
        ),
        // A part of a wheel, or a library of something else.
        all if all == needed => println!(
            "  {what} would not load: none of the {needed} functions and types of \
             MLX that it uses is here"
        ),
        some => {
            println!(
                "  {what} would not load: {some} of {needed} functions and types of MLX are missing"
            );
            for name in lacking.iter().take(SHOWN) {
                println!("    {name}");
            }
            if some > SHOWN {
                println!("    and {} more, which --json lists", some - SHOWN);
            }
        }
    }
    if asked == Asked::CpuPart {
        println!(
            "  what it needs of MLX's Metal backend is not known: \
             `cargo xtask check-macos --quick` makes the extension for macOS"
        );
    }
}

fn counts(library: &Artifact) -> String {
    if library.format == "metallib" {
        return format!("{} kernels", library.kernels.len());
    }
    let functions = format!("{} functions exported", library.functions.len());
    match library.sources.len() {
        0 => functions,
        1 => format!("{functions}, 1 kernel as source"),
        sources => format!("{functions}, {sources} kernels as source"),
    }
}

fn print_named(library: &Artifact, pattern: &str) {
    for (name, kernel) in &library.kernels {
        if name.contains(pattern) {
            println!("  {name}");
            for line in kernel.lines() {
                println!("    {line}");
            }
        }
    }
    for name in library.sources.iter().filter(|name| name.contains(pattern)) {
        println!("  {name} (kernel as source)");
    }
    for signatures in library.functions.values() {
        for signature in signatures.iter().filter(|name| name.contains(pattern)) {
            println!("  {signature}");
        }
    }
}

/// Prints what the second file has and the first has not, and the other way round.
pub fn compare(first: &Path, second: &Path, json: bool) -> Result<()> {
    let (first, second) = (artifact::read(first)?, artifact::read(second)?);
    let all = artifact::compare(&first, &second);
    if json {
        return print_json(&all);
    }
    let parts = [
        ("functions", &all.functions),
        ("kernels", &all.kernels),
        ("kernels as source", &all.sources),
    ];
    for (what, difference) in parts {
        println!(
            "{what}: {} added, {} removed, {} changed",
            difference.added.len(),
            difference.removed.len(),
            difference.changed.len()
        );
        list(difference);
    }
    Ok(())
}

fn list(difference: &Difference) {
    for name in &difference.added {
        println!("  + {name}");
    }
    for name in &difference.removed {
        println!("  - {name}");
    }
    for (name, was, is) in &difference.changed {
        println!("  ~ {name}");
        for line in was.iter().filter(|line| !is.contains(line)) {
            println!("      - {line}");
        }
        for line in is.iter().filter(|line| !was.contains(line)) {
            println!("      + {line}");
        }
    }
}

fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::bug(e.to_string()))?;
    println!("{text}");
    Ok(())
}
