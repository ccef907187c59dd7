//! Whether the series is as it should be: patch files as export writes them, hooks and no
//! more, everything in its place.

use serde::Serialize;

use crate::error::Result;
use crate::git::stack;
use crate::manager::Manager;
use crate::series::{self, Feature, Series, export};

/// Something that isn't as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The patch file, or `series.toml`.
    pub file: String,
    /// What it is.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// All that isn't as it should be.
///
/// # Errors
/// [`crate::Kind::Usage`] for a series that can't be read.
pub fn check(manager: &Manager<'_>) -> Result<Vec<Finding>> {
    let series = series::load(manager.layout)?;
    let pin = manager.pin(&series.base)?;
    let (exact, misfits) = stack::exactly(&manager.repo, &series, pin)?;
    let mut findings: Vec<Finding> = misfits
        .iter()
        .map(|misfit| Finding {
            file: misfit.patch.clone(),
            what: format!("doesn't apply exactly to {}: {misfit}", series.base),
            hint: "a patch is never applied with fuzz: make the change again with `cargo xtask patch edit`, or undo what broke it".into(),
        })
        .collect();
    for (layer, feature) in series.features.iter().enumerate() {
        findings.extend(over_budget(feature));
        findings.extend(over_own_file(&series, feature));
        let fits = !misfits
            .iter()
            .any(|misfit| misfit.patch == feature.patch.name);
        if fits && let Some(found) = not_as_exported(&exact, layer, feature)? {
            findings.push(found);
        }
    }
    let names: Vec<&str> = series
        .features
        .iter()
        .map(|f| f.patch.name.as_str())
        .collect();
    if !names.is_sorted() {
        findings.push(Finding {
            file: "series.toml".into(),
            what: "the patch files' names are not in the order of the series".into(),
            hint: "`cargo xtask patch reorder` with the order that is meant numbers them anew"
                .into(),
        });
    }
    Ok(findings)
}

fn over_budget(feature: &Feature) -> Option<Finding> {
    let counts = feature.patch.files.iter().map(export::counts);
    let lines: usize = counts.map(|(added, gone)| added + gone).sum();
    (lines > feature.budget).then(|| Finding {
        file: feature.patch.name.clone(),
        what: format!("changes {lines} lines of upstream's files, and its budget is {}", feature.budget),
        hint: "move code into overlay files that a hook includes; or say in series.toml why not: exceeds = { lines = …, reason = \"…\" }".into(),
    })
}

/// A patch that changes a file of our own says in two places what that file is.
fn over_own_file(series: &Series, feature: &Feature) -> Option<Finding> {
    let mut files = feature.patch.files.iter();
    let own = files.find_map(|file| series.overlay_at(&file.path))?;
    Some(Finding {
        file: feature.patch.name.clone(),
        what: format!(
            "changes {}, which is {} of the project",
            own.target, own.source
        ),
        hint: format!(
            "make the change in {}, and take it out of the patch",
            own.source
        ),
    })
}

fn not_as_exported(
    exact: &crate::git::draft::Draft<'_>,
    layer: usize,
    feature: &Feature,
) -> Result<Option<Finding>> {
    let written = stack::export_layer(exact, layer, feature)?.bytes;
    if written == feature.patch.bytes {
        return Ok(None);
    }
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (is, should) = (lines(&feature.patch.bytes), lines(&written));
    let at = is.iter().zip(&should).take_while(|(a, b)| a == b).count();
    let shown = |lines: &[Vec<u8>]| {
        let line = lines
            .get(at)
            .map(|line| String::from_utf8_lossy(line).into_owned());
        line.unwrap_or("the end".into())
    };
    Ok(Some(Finding {
        file: feature.patch.name.clone(),
        what: format!(
            "line {} is `{}`, and export would write `{}`",
            at + 1,
            shown(&is),
            shown(&should)
        ),
        hint: "`cargo xtask patch export` writes it so".into(),
    }))
}
