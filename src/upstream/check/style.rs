//! Upstream's formatters, in upstream's versions, over what the feature is made from here and
//! over what upstream would get.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Doing, Result, writing};
use crate::git::checkout;
use crate::layout::Layout;
use crate::series::Overlay;
use crate::ui::Ui;

use super::super::prepare::{Prepared, style};
use super::super::rules::Hook;
use super::{Finding, Outcome, Report};

/// A row for each of upstream's hooks.
pub fn rows(layout: &Layout, prepared: &Prepared, report: &mut Report, ui: &dyn Ui) -> Result<()> {
    let mut overlay = in_overlay(layout, prepared)?;
    for hook in &prepared.formatters.hooks {
        let rule = format!("{} {}", hook.id, hook.version);
        let ours = overlay.remove(&hook.id).unwrap_or_default();
        report.check(&rule, ui, || row(prepared, hook, ours))?;
    }
    Ok(())
}

/// One hook, over what upstream would get; `findings` are those in our own files.
pub fn row(prepared: &Prepared, hook: &Hook, mut findings: Vec<Finding>) -> Result<Outcome> {
    let paths = prepared.changes.keys();
    if hook.requirement().is_none() {
        // The only other hook that upstream has reads YAML.
        let yaml = |path: &&String| path.ends_with(".yaml") || path.ends_with(".yml");
        return Ok(match (hook.id.as_str(), paths.filter(yaml).count()) {
            ("check-yaml", 0) => Outcome::ok("the feature changes no YAML"),
            _ => Outcome::not_checked(format!(
                "this tool doesn't know the hook: `pre-commit run {} --all-files` on the branch",
                hook.id
            )),
        });
    }
    let taken: Vec<String> = paths.filter(|path| hook.takes(path)).cloned().collect();
    let places = prepared.formatters.misformatted(hook, &taken)?;
    for (path, line) in places {
        if !was_so_before(prepared, hook, &path)? {
            let what = format!("{} would write this otherwise", hook.id);
            findings.push(Finding::at(&path, line, what));
        }
    }
    let note = format!("{} files", taken.len());
    Ok(Outcome::of(
        findings,
        note,
        "`cargo xtask lint --fix` formats mlx_primitives and metal; for other files see patches/upstream.toml",
    ))
}

/// True for a file of upstream's that its own formatter would change already.
fn was_so_before(prepared: &Prepared, hook: &Hook, path: &str) -> Result<bool> {
    let Some(change) = prepared.changes.get(path) else {
        return Ok(false);
    };
    let Some(before) = &change.before else {
        return Ok(false);
    };
    let place = prepared.folder().join(path);
    std::fs::write(&place, before).doing(writing(&place))?;
    let found = prepared.formatters.misformatted(hook, &[path.to_string()]);
    std::fs::write(&place, &change.after).doing(writing(&place))?;
    Ok(!found?.is_empty())
}

/// What the formatters say of our own files, as they are here, by hook. They are put where the
/// fork has them, in upstream's tree: its settings are the ones that count.
fn in_overlay(layout: &Layout, prepared: &Prepared) -> Result<BTreeMap<String, Vec<Finding>>> {
    let sources: BTreeSet<&String> = prepared.changes.values().flat_map(|c| &c.sources).collect();
    let features = prepared.series.features.iter();
    let overlay: Vec<&Overlay> = features
        .flat_map(|feature| &feature.overlay)
        .filter(|file| sources.contains(&file.source))
        .collect();
    for file in &overlay {
        let place = prepared.folder().join(&file.target);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).doing(writing(folder))?;
        }
        std::fs::write(&place, &file.content).doing(writing(&place))?;
    }
    let targets: Vec<String> = overlay.iter().map(|file| file.target.clone()).collect();
    let mut found: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for hook in &prepared.formatters.hooks {
        if hook.requirement().is_none() {
            continue;
        }
        for (target, line) in prepared.formatters.misformatted(hook, &targets)? {
            let source = overlay.iter().find(|file| file.target == target);
            let source = source.map_or(target.as_str(), |file| &file.source);
            let what = format!("{} would write this otherwise", hook.id);
            let findings = found.entry(hook.id.clone()).or_default();
            findings.push(Finding::at(source, line, what));
        }
    }
    checkout::materialize(&style(layout, &prepared.feature), &prepared.tree)?;
    Ok(found)
}
