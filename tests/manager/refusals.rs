//! What an operation must not write, and what it says instead.

use mlx_fork::manager::status;

use super::conflicts::{bump, conflicting, go_on};
use super::*;

fn reorder(project: &Project, order: [&str; 2]) -> Result<Finished> {
    let order = order.map(String::from).to_vec();
    run(project, Plan::Reorder { order })
}

/// The series with `second` requiring nothing.
fn free(project: &Project) -> String {
    let manifest = project.layout.patches().join("series.toml");
    change(&manifest, "requires = [\"fused\"]\n", "");
    fs::read_to_string(manifest).unwrap()
}

#[test]
fn tables_below_a_feature_go_with_it_wherever_it_goes() {
    let project = shown();
    let text = free(&project);
    let (first, second) = text.split_at(text.rfind("[[feature]]").unwrap());
    project.manifest(&format!(
        "{first}\n[feature.exceeds]\nlines = 70\nreason = \"first\"\n\n{second}\n# of the second\n\
         [feature.probes]\nsymbols = [\"s\"]\n[feature.exceeds]\nlines = 80\nreason = \"second\"\n"
    ));
    let budgets = |project: &Project| -> Vec<(String, usize, usize)> {
        let features = project.series().features.into_iter();
        let row = |f: mlx_fork::series::Feature| (f.name, f.budget, f.probes.symbols.len());
        features.map(row).collect()
    };
    let fused = ("fused".to_string(), 70, 0);
    let other = ("second".to_string(), 80, 1);
    assert_eq!(budgets(&project), [fused.clone(), other.clone()]);
    reorder(&project, ["second", "fused"]).unwrap();
    assert_eq!(budgets(&project), [other.clone(), fused.clone()]);
    reorder(&project, ["fused", "second"]).unwrap();
    assert_eq!(budgets(&project), [fused, other.clone()]);
    let features = vec!["fused".to_string()];
    run(&project, Plan::Drop { features }).unwrap();
    assert_eq!(budgets(&project), [other]);
    let text = fs::read_to_string(project.layout.patches().join("series.toml")).unwrap();
    assert!(text.contains("# of the second"), "{text}");
}

#[test]
fn features_that_are_written_in_one_line_keep_all_that_they_say() {
    let project = shown();
    let feature = |name: &str, rest: &str| {
        format!("  {{ name = \"{name}\", patch = \"{rest}, probes = {{ c = [\"{name}\"] }} }},\n")
    };
    let text = format!(
        "base = \"base\"\nfeature = [\n{}{}]\n",
        feature(
            "fused",
            "0001-fused.patch\", overlay = [[\"mlx_primitives/a.cpp\", \"mlx/fused/a.cpp\"]]"
        ),
        feature(
            "second",
            "0002-second.patch\", overlay = [[\"mlx_primitives/b.cpp\", \"mlx/fused/b.cpp\"]]"
        ),
    );
    project.manifest(&text);
    let before = project.series();
    reorder(&project, ["second", "fused"]).unwrap();
    let after = project.series();
    for feature in &before.features {
        let same = after
            .features
            .iter()
            .find(|f| f.name == feature.name)
            .unwrap();
        assert_eq!(same.probes, feature.probes);
        assert_eq!(same.overlay.len(), 1);
    }
    assert_in_step(&project);
}

#[test]
fn what_no_later_command_could_read_is_never_written() {
    let project = shown();
    let before = files(&project);
    let refused = |says: &str, request: &Request| {
        let error = take(&project, request).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(files(&project), before);
        mlx_fork::series::load(&project.layout).unwrap();
    };
    let long = "a line that is long enough\n".repeat(50_000);
    edit_local(&project, EXPORT, "export line 20\n", &long);
    refused("a hook has 1048576 at most", &into("fused"));
    project.git(&["checkout", "--quiet", "."]);
    let large = "x".repeat((16 << 20) + 1);
    fs::write(project.local("mlx/fused/a.cpp"), &large).unwrap();
    refused(
        "mlx_primitives/a.cpp has 16777217 bytes",
        &Request::default(),
    );
    project.git(&["checkout", "--quiet", "."]);
    fs::write(project.local("mlx/fused/new.cpp"), "int n;\n").unwrap();
    let outside = tempfile::tempdir().unwrap();
    let link = project.layout.root().join("link");
    std::os::unix::fs::symlink(outside.path(), &link).unwrap();
    let mut request = into("fused");
    let own = ("mlx/fused/new.cpp".to_string(), "link/new.cpp".into());
    request.own = [own].into();
    refused("goes through the symbolic link", &request);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn what_no_patch_can_hold_is_told_with_the_command_that_puts_it_back() {
    use std::os::unix::fs::PermissionsExt;
    let project = shown();
    let before = files(&project);
    let local = |path: &str| project.local(path);
    let changes: [(&str, &dyn Fn()); 4] = [
        ("is a symbolic link", &|| {
            fs::remove_file(local(EXPORT)).unwrap();
            std::os::unix::fs::symlink("ops.cpp", local(EXPORT)).unwrap();
        }),
        ("changes its mode", &|| {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(local(EXPORT), mode).unwrap();
        }),
        ("is empty", &|| fs::write(local(EXPORT), "").unwrap()),
        ("isn't UTF-8", &|| {
            fs::write(local(EXPORT), b"\xff\n").unwrap()
        }),
    ];
    for (says, make) in changes {
        make();
        let error = take(&project, &into("fused")).unwrap_err();
        assert!(error.what().contains(says), "{error}");
        let hint = "cargo xtask edits drop mlx/export.cpp";
        assert!(error.hints().iter().any(|h| h.contains(hint)), "{error:?}");
        assert_eq!(files(&project), before);
        mlx_fork::git::edits::drop(&project.layout, &[EXPORT.into()]).unwrap();
        assert_in_step(&project);
    }
}

#[test]
fn conflicts_of_a_persons_own_merge_are_never_taken_for_a_change() {
    let project = shown();
    let before = files(&project);
    edit_local(&project, EXPORT, "export line 20", "export line twenty");
    project.git(&["stash", "--quiet"]);
    edit_local(&project, EXPORT, "export line 20", "export line XX");
    project.git(&["add", "--all"]);
    assert!(!project.try_git(&["stash", "pop"]).status.success());
    let text = fs::read_to_string(project.local(EXPORT)).unwrap();
    assert!(text.contains("<<<<<<< "), "{text}");
    let error = take(&project, &into("fused")).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.what().contains("mlx_local/mlx/export.cpp"), "{error}");
    assert_eq!(files(&project), before);
    resolve(&project, EXPORT, "export line both\n");
    project.git(&["add", "--all"]);
    take(&project, &into("fused")).unwrap().unwrap();
    assert_in_step(&project);
}

#[test]
fn half_of_a_marker_is_no_answer() {
    let project = conflicting();
    run(&project, bump(&project)).unwrap_err();
    let text = fs::read_to_string(project.local(EXPORT)).unwrap();
    let lines = text.lines().filter(|line| {
        !["<<<<<<< ", "||||||| ", ">>>>>>> "]
            .iter()
            .any(|sign| line.starts_with(sign))
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let at = text.lines().position(|line| line == "=======").unwrap() + 1;
    fs::write(project.local(EXPORT), text).unwrap();
    let error = go_on(&project).unwrap_err();
    assert!(
        error.what().contains(&format!("mlx/export.cpp:{at}")),
        "{error}"
    );
}

#[test]
fn an_operation_that_changes_nothing_leaves_nothing_to_undo() {
    let project = shown();
    run(&project, Plan::Export).unwrap();
    let log = journal::log(&project.repo(), 9).unwrap().len();
    let finished = run(&project, Plan::Export).unwrap();
    assert!(finished.written.is_empty() && finished.removed.is_empty());
    assert_eq!(journal::log(&project.repo(), 9).unwrap().len(), log);
}

#[test]
fn an_order_that_is_none_says_which_feature_is_wrong() {
    let project = shown();
    let error = reorder(&project, ["second", "second"]).unwrap_err();
    assert!(error.what().contains("fused is missing"), "{error}");
    let error = reorder(&project, ["second", "third"]).unwrap_err();
    assert!(error.what().contains("\"third\""), "{error}");
    let order = ["fused", "second", "fused"].map(String::from).to_vec();
    let error = run(&project, Plan::Reorder { order }).unwrap_err();
    assert!(error.what().contains("fused is there twice"), "{error}");
}

#[test]
fn an_operation_that_stops_half_way_says_that_it_will_be_finished() {
    let project = shown();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    // Something that no file can be written over.
    let blocked = project.layout.root().join("mlx_primitives/.mlx-fork-new");
    fs::create_dir(&blocked).unwrap();
    let error = take(&project, &Request::default()).unwrap_err();
    let hint = "`patch refresh` is recorded whole";
    assert!(error.hints().iter().any(|h| h.contains(hint)), "{error:?}");
    let Err(error) = Manager::open(&project.layout, &Silent) else {
        panic!("it can't be finished yet");
    };
    assert!(
        error.to_string().starts_with("finishing `patch refresh`"),
        "{error}"
    );
    fs::remove_dir(&blocked).unwrap();
    drop(manager(&project));
    assert_eq!(files(&project)["mlx_primitives/a.cpp"], b"int a = 2;\n");
    assert_in_step(&project);
}

#[test]
fn a_status_names_what_of_gits_own_is_in_the_way() {
    let project = shown();
    project.git(&["switch", "--quiet", "--create", "mine"]);
    let status = status::status(&manager(&project), &[]).unwrap();
    assert_eq!(status.obstacles.len(), 1);
    assert!(
        status.obstacles[0].0.contains("on the branch mine"),
        "{status:?}"
    );
    assert_eq!(status.obstacles[0].1, "git -C mlx_local switch fork");
}

#[test]
fn a_folder_in_the_place_of_a_file_stops_a_refresh_whose_undo_would_need_its_place() {
    let project = shown();
    let before = files(&project);
    fs::remove_file(project.local("README.md")).unwrap();
    fs::create_dir(project.local("README.md")).unwrap();
    fs::write(project.local("README.md/mine"), "mine\n").unwrap();
    let error = take(&project, &into("fused")).unwrap_err();
    assert!(
        error.what().contains("mlx_local/README.md is a folder"),
        "{error}"
    );
    assert_eq!(error.hints(), ["move it out of mlx_local first"]);
    assert_eq!(files(&project), before);
}
