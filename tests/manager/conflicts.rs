//! An operation that stops: all places are told, and it goes on, without, or back.

use std::fs;

use mlx_fork::Kind;
use mlx_fork::git::history::History;
use mlx_fork::manager::bump::Onto;
use mlx_fork::manager::plan::Plan;

use super::*;

/// A project whose later pin changed the lines that the second feature stands on.
pub fn conflicting() -> Project {
    let project = shown();
    let repo = project.repo();
    let mut files = synthetic::later_upstream();
    for (path, content, _) in &mut files {
        if *path == BINDING {
            *content = content.replace("binding line 15\n", "binding line fifteen\n");
        }
        if *path == EXPORT {
            *content = content.replace("export line 30\n", "export line thirty\n");
        }
    }
    let next = synthetic::commit(&repo, synthetic::tree(&repo, &files));
    repo.reference("refs/mlx-fork/pins/next", next, true, "")
        .unwrap();
    project
}

pub fn bump(project: &Project) -> Plan {
    let commit = project.git(&["rev-parse", "refs/mlx-fork/pins/next"]);
    Plan::Bump(Onto {
        pin: "next".into(),
        commit,
        files: BTreeMap::new(),
    })
}

/// Goes on, without the checks of `bump`.
pub fn go_on(project: &Project) -> Result<Finished> {
    let manager = manager(project);
    let ready = manager.work_on()?;
    manager.finish(ready)
}

fn assert_on_next(project: &Project) {
    let series = project.series();
    assert_eq!(series.base, "next");
    let next = project.git(&["rev-parse", "refs/mlx-fork/pins/next"]);
    let fork = mlx_fork::series::compose(&project.layout, &series, &next).unwrap();
    assert_eq!(project.git(&["rev-parse", "HEAD"]), fork.id);
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert!(!fork.ported);
}

#[test]
fn all_conflicts_are_told_and_resolved_one_feature_after_the_other() {
    let project = conflicting();
    let before = files(&project);
    let error = run(&project, bump(&project)).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    for part in [
        "stopped at fused",
        "0001-fused.patch: mlx/export.cpp",
        "0002-second.patch: python/src/mlx.cpp",
    ] {
        assert!(error.what().contains(part), "{error}");
    }
    assert_eq!(files(&project), before);
    // What has markers isn't taken.
    let error = go_on(&project).unwrap_err();
    assert!(
        error.what().contains("mlx_local/mlx/export.cpp:"),
        "{error}"
    );
    let resolved = fs::read_to_string(project.local(EXPORT)).unwrap();
    assert!(
        resolved.contains("<<<<<<< upstream\nexport line thirty\n"),
        "{resolved}"
    );
    resolve(&project, EXPORT, "hook two\nexport line thirty\n");
    let error = go_on(&project).unwrap_err();
    assert!(error.what().contains("stopped at second"), "{error}");
    resolve(&project, BINDING, "binding line fifteen\nbind\n");
    go_on(&project).unwrap();
    assert_on_next(&project);
    let kept = answers(&project);
    assert_eq!(kept.len(), 2);
    // The way back; the answers stay.
    let after = files(&project);
    let undone = manager(&project).undo().unwrap();
    assert_eq!(undone.answers, kept);
    assert_eq!(without_answers(files(&project)), before);
    assert_eq!(answers(&project), kept);
    assert_in_step(&project);
    manager(&project).redo().unwrap();
    assert_eq!(files(&project), after);
    manager(&project).undo().unwrap();
    // And so the same again asks nothing.
    run(&project, bump(&project)).unwrap();
    assert_eq!(files(&project), after);
    assert_on_next(&project);
}

/// The files of kept answers.
fn answers(project: &Project) -> Vec<String> {
    let files = files(project).into_keys();
    files.filter(|f| f.contains("resolutions")).collect()
}

fn without_answers(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.retain(|path, _| !path.contains("resolutions"));
    files
}

#[test]
fn an_aborted_bump_keeps_the_answers_that_were_gone_on_with_and_no_other() {
    let project = conflicting();
    let before = files(&project);
    run(&project, bump(&project)).unwrap_err();
    resolve(&project, EXPORT, "hook two\nexport line thirty\n");
    go_on(&project).unwrap_err();
    resolve(&project, BINDING, "not sure of this one\n");
    let finished = manager(&project).abort().unwrap();
    assert_eq!(finished.answers, answers(&project));
    assert_eq!(finished.answers.len(), 1);
    assert_eq!(without_answers(files(&project)), before);
    assert_in_step(&project);
    // The next one asks for the other place alone.
    let error = run(&project, bump(&project)).unwrap_err();
    assert!(error.what().contains("stopped at second"), "{error}");
    assert!(!error.what().contains("0001-fused.patch"), "{error}");
}

#[test]
fn an_aborted_operation_leaves_nothing_and_keeps_what_was_done() {
    let project = conflicting();
    let before = files(&project);
    run(&project, bump(&project)).unwrap_err();
    resolve(&project, EXPORT, "half of an answer\n");
    let finished = manager(&project).abort().unwrap();
    assert_eq!(files(&project), before);
    assert_in_step(&project);
    let kept = finished.kept.unwrap();
    let shown = project.git(&["show", &format!("{kept}:{EXPORT}")]);
    assert!(shown.contains("half of an answer"), "{shown}");
    assert_eq!(manager(&project).abort().unwrap_err().kind(), Kind::Usage);
}

#[test]
fn a_skipped_feature_is_left_out_and_what_requires_it_says_so() {
    let project = conflicting();
    run(&project, bump(&project)).unwrap_err();
    let error = manager(&project).skip().unwrap_err();
    assert!(error.what().contains("second requires fused"), "{error}");
    resolve(&project, EXPORT, "hook two\nexport line thirty\n");
    go_on(&project).unwrap_err();
    let finished = manager(&project).skip().unwrap();
    assert_eq!(finished.skipped, ["second"]);
    assert_on_next(&project);
    assert_eq!(project.series().features.len(), 1);
}

#[test]
fn while_a_conflict_waits_other_operations_do_not_begin() {
    let project = conflicting();
    run(&project, bump(&project)).unwrap_err();
    let features = vec!["second".to_string()];
    let attempts: [&dyn Fn() -> Result<Finished>; 4] = [
        &|| {
            run(
                &project,
                Plan::Drop {
                    features: features.clone(),
                },
            )
        },
        &|| manager(&project).edit("fused"),
        &|| take(&project, &Request::default()).map(|_| panic!("taken")),
        &|| manager(&project).undo(),
    ];
    for attempt in attempts {
        let error = attempt().unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.what().contains("waits at fused"), "{error}");
    }
}

#[test]
fn a_refresh_that_breaks_a_later_patch_stops_there_and_can_be_aborted_with_its_edit() {
    let project = shown();
    let before = files(&project);
    manager(&project).edit("fused").unwrap();
    edit_local(
        &project,
        BINDING,
        "binding line 15\nbinding line 16\n",
        "binding line XV\nbinding line XVI\n",
    );
    let edited = fs::read(project.local(BINDING)).unwrap();
    let error = take(&project, &Request::default()).unwrap_err();
    assert!(error.what().contains("stopped at second"), "{error}");
    manager(&project).abort().unwrap();
    assert_eq!(fs::read(project.local(BINDING)).unwrap(), edited);
    assert_eq!(files(&project), before);
    take(&project, &Request::default()).unwrap_err();
    resolve(
        &project,
        BINDING,
        "binding line XV\nbind\nbinding line XVI\n",
    );
    go_on(&project).unwrap();
    assert_in_step(&project);
}

#[test]
fn an_overlay_file_edited_at_a_conflict_never_gets_into_a_patch() {
    let project = conflicting();
    run(&project, bump(&project)).unwrap_err();
    resolve(&project, EXPORT, "hook two\nexport line thirty\n");
    go_on(&project).unwrap_err();
    resolve(&project, BINDING, "binding line fifteen\nbind\n");
    // One of the feature that waits, one of a feature before it.
    for (path, source) in [
        ("mlx/fused/b.cpp", "mlx_primitives/b.cpp"),
        ("mlx/fused/a.cpp", "mlx_primitives/a.cpp"),
    ] {
        let was = fs::read(project.local(path)).unwrap();
        fs::write(project.local(path), "mine\n").unwrap();
        let error = go_on(&project).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.what().contains(source), "{error}");
        fs::write(project.local(path), was).unwrap();
    }
    go_on(&project).unwrap();
    assert_on_next(&project);
}

#[test]
fn what_was_resolved_at_earlier_stops_outlives_an_abort() {
    let project = conflicting();
    run(&project, bump(&project)).unwrap_err();
    resolve(&project, EXPORT, "an answer of mine\n");
    go_on(&project).unwrap_err();
    let finished = manager(&project).abort().unwrap();
    let kept = finished.kept.unwrap();
    let shown = project.git(&["show", &format!("{kept}:{EXPORT}")]);
    assert!(shown.contains("an answer of mine"), "{shown}");
    assert_in_step(&project);
}

#[test]
fn an_edit_of_an_overlay_file_in_a_refresh_that_stops_is_no_change_of_its_own() {
    let project = shown();
    manager(&project).edit("fused").unwrap();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    edit_local(
        &project,
        BINDING,
        "binding line 15\nbinding line 16\n",
        "binding line XV\nbinding line XVI\n",
    );
    take(&project, &Request::default()).unwrap_err();
    resolve(
        &project,
        BINDING,
        "binding line XV\nbind\nbinding line XVI\n",
    );
    manager(&project).resume().unwrap();
    assert_eq!(files(&project)["mlx_primitives/a.cpp"], b"int a = 2;\n");
    assert_in_step(&project);
}

#[test]
fn the_commits_of_upstream_that_moved_a_place_are_named_where_history_is_at_hand() {
    let project = shown();
    let repo = project.repo();
    let commit = |parent: git2::Oid, from: &str, to: &str, subject: &str| {
        let mut files = synthetic::upstream();
        for (path, content, _) in &mut files {
            if *path == EXPORT {
                *content = content.replace("export line 3\n", "export line three\n");
                *content = content.replace(from, to);
            }
        }
        let tree = repo.find_tree(synthetic::tree(&repo, &files)).unwrap();
        let parent = repo.find_commit(parent).unwrap();
        let who =
            git2::Signature::new("Up", "up@stream", &git2::Time::new(1_770_000_000, 0)).unwrap();
        repo.commit(None, &who, &who, subject, &tree, &[&parent])
            .unwrap()
    };
    let first = commit(project.base, "", "", "Spell three (#7)\n");
    let second = commit(
        first,
        "export line 30\n",
        "export line thirty\n",
        "Spell thirty (#8)\n",
    );
    repo.reference("refs/mlx-fork/pins/next", second, true, "")
        .unwrap();
    let mut manager = manager(&project);
    manager.history = Some(History::open(&project.layout.mlx_local()).unwrap());
    let local = manager.clean().unwrap();
    let error = manager
        .run(bump(&project), Decided::default(), local, local)
        .map(|_| ())
        .unwrap_err();
    let named = format!(
        "upstream {} 2026-02-02 Spell thirty (#8)",
        &second.to_string()[..10]
    );
    assert!(error.what().contains(&named), "{error}");
    assert!(!error.what().contains("#7"), "{error}");
}
