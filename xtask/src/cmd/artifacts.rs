//! `cargo xtask probe --artifact` and `--compare`: builds of any system, from their files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mlx_fork::probe::artifact::{self, Artifact, Difference};
use mlx_fork::probe::{Expected, binary};
use mlx_fork::{Error, Result};
use serde::Serialize;

/// What was found out about the files of one `--artifact`.
#[derive(Debug, Serialize)]
struct Answer {
    libraries: Vec<Artifact>,
    /// What the series promises, and whether it is there.
    promised: Vec<(String, bool)>,
    /// Functions of MLX that our extension needs and these libraries don't export; none where
    /// no extension is built.
    lacking: Option<Vec<String>>,
}

/// Prints what each file has. `extension` is our extension's library, where it is built.
pub fn show(
    files: &[PathBuf],
    pattern: Option<&str>,
    expected: &Expected,
    extension: Option<&Path>,
    json: bool,
) -> Result<()> {
    let needed = extension.map(binary::imports).transpose()?;
    let mut answers = Vec::new();
    for file in files {
        let libraries = artifact::read(file)?;
        let exported: BTreeSet<&str> = libraries
            .iter()
            .flat_map(|library| library.functions.keys())
            .map(String::as_str)
            .collect();
        let symbols = expected.iter().flat_map(|promise| &promise.symbols);
        let promised = symbols.map(|name| (name.clone(), exported.contains(name.as_str())));
        let promised = promised.collect();
        let signatures: BTreeSet<&String> = libraries
            .iter()
            .flat_map(|library| library.functions.values().flatten())
            .collect();
        let lacking = needed.as_ref().map(|needed| {
            let missing = needed.iter().filter(|name| !signatures.contains(name));
            missing.cloned().collect()
        });
        answers.push(Answer {
            libraries,
            promised,
            lacking,
        });
    }
    if json {
        return print_json(&answers);
    }
    for answer in &answers {
        print(answer, pattern, needed.as_ref().map(Vec::len));
    }
    Ok(())
}

fn print(answer: &Answer, pattern: Option<&str>, needed: Option<usize>) {
    for library in &answer.libraries {
        let has = match library.format.as_str() {
            "metallib" => format!("{} kernels", library.kernels.len()),
            _ => format!("{} functions exported", library.functions.len()),
        };
        println!("{}\n  {}, {has}", library.file, library.format);
        let Some(pattern) = pattern else { continue };
        for (name, kernel) in &library.kernels {
            if name.contains(pattern) {
                println!("  {name}");
                for line in kernel.lines() {
                    println!("    {line}");
                }
            }
        }
        for signatures in library.functions.values() {
            for signature in signatures.iter().filter(|name| name.contains(pattern)) {
                println!("  {signature}");
            }
        }
    }
    for (name, there) in &answer.promised {
        println!("  {name}: {}", if *there { "present" } else { "absent" });
    }
    match (&answer.lacking, needed) {
        (Some(lacking), Some(needed)) if lacking.is_empty() => {
            println!(
                "  our extension would load: it has all {needed} functions of MLX that it uses"
            );
        }
        (Some(lacking), Some(needed)) => {
            println!(
                "  our extension would not load: {} of {needed} functions of MLX are missing",
                lacking.len()
            );
            for name in lacking {
                println!("    {name}");
            }
        }
        _ => println!(
            "  whether our extension would load is not known: none is built here \
             (cargo xtask setup-mlx --mode extension)"
        ),
    }
}

/// Prints what the second file has and the first has not, and the other way round.
pub fn compare(first: &Path, second: &Path, json: bool) -> Result<()> {
    let (first, second) = (artifact::read(first)?, artifact::read(second)?);
    let (functions, kernels) = artifact::compare(&first, &second);
    if json {
        return print_json(&serde_json::json!({ "functions": functions, "kernels": kernels }));
    }
    for (what, difference) in [("functions", &functions), ("kernels", &kernels)] {
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
