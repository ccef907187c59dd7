//! Somebody's changes come in: new files and long runs become files of the project, the rest
//! hooks; and what goes out comes back in the same.

use mlx_fork::manager::incoming::{self, Placed, Request as Import};
use mlx_fork::manager::{check, export};
use mlx_fork::series::Fork;

use super::*;

pub fn import(project: &Project, request: &Import) -> Result<(Placed, Finished)> {
    incoming::import(&manager(project), request)
}

/// A clone of upstream with a commit on top: hooks, a long run, a new file.
fn clone(project: &Project) -> std::path::PathBuf {
    let folder = project.dir.path().join("clone");
    let from = project.layout.mlx_local();
    clone_at(&from, "refs/mlx-fork/pins/base", &folder);
    let run: String = (0..300).map(|n| format!("int fast_{n};\n")).collect();
    let run = format!("export line 35\n{run}");
    change(&folder.join(EXPORT), "export line 35\n", &run);
    let hook = "binding line 5\nbind fast\n";
    change(&folder.join(BINDING), "binding line 5\n", hook);
    fs::create_dir_all(folder.join("mlx/fast")).unwrap();
    fs::write(
        folder.join("mlx/fast/sort.cpp"),
        synthetic::text("sort", 700),
    )
    .unwrap();
    git(&folder, &["add", "--all"]);
    git(
        &folder,
        &[
            "commit",
            "--quiet",
            "--message",
            "Add fast sort\n\nIt is faster.",
        ],
    );
    folder
}

fn assert_is_the_clones(project: &Project, clone: &Path) {
    assert_in_step(project);
    let series = project.series();
    let feature = &series.features[2];
    assert_eq!(feature.name, "add_fast_sort");
    assert_eq!(feature.patch.header.name, "A Person");
    assert!(feature.patch.header.message.contains("It is faster."));
    let own: Vec<&str> = feature
        .overlay
        .iter()
        .map(|file| file.target.as_str())
        .collect();
    assert_eq!(own, ["mlx/export_add_fast_sort_1.inc", "mlx/fast/sort.cpp"]);
    let hooks: usize = feature.patch.files.iter().map(|f| f.hunks.len()).sum();
    assert_eq!(hooks, 2);
    assert!(
        feature.patch.bytes.len() < 2000,
        "{}",
        feature.patch.bytes.len()
    );
    // What the hook includes is what was there.
    let run = fs::read_to_string(project.layout.mlx_local().join(own[0])).unwrap();
    let there = fs::read_to_string(project.local(EXPORT)).unwrap();
    let whole = there.replace("#include \"mlx/export_add_fast_sort_1.inc\"\n", &run);
    let theirs = fs::read_to_string(clone.join(EXPORT)).unwrap();
    assert_eq!(
        whole.replace("hook one\n", "").replace("hook two\n", ""),
        theirs
    );
}

#[test]
fn commits_of_a_clone_become_a_feature_of_own_files_and_hooks() {
    let project = shown();
    let clone = clone(&project);
    let request = Import {
        commits: Some((clone.clone(), "HEAD~1..HEAD".into())),
        ..Import::default()
    };
    import(&project, &request).unwrap();
    assert_is_the_clones(&project, &clone);
}

#[test]
fn a_mail_does_the_same_and_undo_takes_its_files_away() {
    let project = shown();
    let before = files(&project);
    let clone = clone(&project);
    let mail = project.dir.path().join("their.patch");
    fs::write(&mail, git(&clone, &["format-patch", "--stdout", "HEAD~1"])).unwrap();
    let request = Import {
        files: vec![mail],
        ..Import::default()
    };
    import(&project, &request).unwrap();
    assert_is_the_clones(&project, &clone);
    manager(&project).undo().unwrap();
    assert_eq!(files(&project), before);
    assert_in_step(&project);
}

#[test]
fn hunks_without_a_place_are_all_named_and_nothing_is_made() {
    let project = shown();
    let before = files(&project);
    let diff = project.dir.path().join("bad.diff");
    let hunk = |path: &str| {
        format!(
            "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -3,2 +3,3 @@\n no such line\n+new\n nor this\n"
        )
    };
    fs::write(&diff, format!("{}{}", hunk(EXPORT), hunk(BINDING))).unwrap();
    let request = Import {
        files: vec![diff.clone()],
        name: Some("bad".into()),
        ..Import::default()
    };
    project.git(&["config", "user.name", "A Person"]);
    project.git(&["config", "user.email", "a@person"]);
    let error = import(&project, &request).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(
        error.what().contains(EXPORT) && error.what().contains(BINDING),
        "{error}"
    );
    assert_eq!(files(&project), before);
    assert_in_step(&project);
    // The lines stand elsewhere, at one place.
    let text = format!(
        "diff --git a/{BINDING} b/{BINDING}\n--- a/{BINDING}\n+++ b/{BINDING}\n@@ -3,2 +3,3 @@\n binding line 20\n+new\n binding line 21\n"
    );
    fs::write(&diff, text).unwrap();
    let (placed, _) = import(&project, &request).unwrap();
    assert!(
        placed.moved[0].contains("stands at line 21"),
        "{:?}",
        placed.moved
    );
}

#[test]
fn whole_patches_make_the_fork_by_git_am_and_by_import() {
    let project = shown();
    project.own("b.cpp", "int b;\r\n");
    let fork: Fork = project.compose();
    checkout::fork(&project.layout, &fork).unwrap();
    let folder = project.dir.path().join("out");
    let written = export::export(&manager(&project), &folder).unwrap();
    assert_eq!(written.len(), 2);
    let again = export::export(&manager(&project), &folder).unwrap_err();
    assert_eq!(again.kind(), Kind::Usage);
    let clone = project.dir.path().join("am");
    let from = project.layout.mlx_local();
    clone_at(&from, "refs/mlx-fork/pins/base", &clone);
    let mails: Vec<&str> = written.iter().map(|path| path.to_str().unwrap()).collect();
    git(
        &clone,
        &[&["am", "--quiet", "--keep-cr"], &mails[..]].concat(),
    );
    assert_eq!(git(&clone, &["rev-parse", "HEAD^{tree}"]).trim(), fork.tree);
    let features = vec!["second".to_string(), "fused".into()];
    run(&project, Plan::Drop { features }).unwrap();
    assert_eq!(project.compose().id, project.base.to_string());
    for (path, name) in written.iter().zip(["fused", "second"]) {
        let request = Import {
            files: vec![path.clone()],
            name: Some(name.into()),
            ..Import::default()
        };
        import(&project, &request).unwrap();
    }
    assert_eq!(project.compose().tree, fork.tree);
    assert_in_step(&project);
}

#[test]
fn check_names_what_export_would_write_what_is_over_budget_and_what_does_not_apply() {
    let project = shown();
    let rows = |project: &Project| check::check(&manager(project)).unwrap();
    // The patches of this test are git's own, whose subjects are folded.
    assert!(rows(&project)[0].what.contains("export would write"));
    run(&project, Plan::Export).unwrap();
    assert_eq!(rows(&project), []);
    let manifest = project.layout.patches().join("series.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("budget = 2\n{text}")).unwrap();
    let found = rows(&project);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("changes 3 lines"), "{found:?}");
    let reason = "name = \"fused\"\nexceeds = { lines = 3, reason = \"three places\" }";
    fs::write(
        &manifest,
        format!(
            "budget = 2\n{}",
            text.replacen("name = \"fused\"", reason, 1)
        ),
    )
    .unwrap();
    assert_eq!(rows(&project), []);
    let patch = project.layout.patches().join("0001-fused.patch");
    let text = fs::read_to_string(&patch).unwrap();
    fs::write(
        &patch,
        text.replace(" export line 29\n", " export line 28\n"),
    )
    .unwrap();
    assert!(
        rows(&project)[0].what.contains("doesn't apply exactly"),
        "{:?}",
        rows(&project)
    );
}
