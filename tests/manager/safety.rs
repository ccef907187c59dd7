//! What a person has where nobody looks first: in git only, in the way, in the project.

use std::os::unix::fs::symlink;

use mlx_fork::git::local::{self, State};

use super::*;

/// What stands in the file at a path of a reference.
fn at(project: &Project, reference: &str, path: &str) -> String {
    project.git(&["show", &format!("{reference}:{path}")])
}

#[test]
fn what_is_only_staged_is_put_aside_before_the_index_is_written() {
    let project = shown();
    let text = fs::read(project.local(EXPORT)).unwrap();
    fs::write(project.local(EXPORT), "staged only\n").unwrap();
    project.git(&["add", EXPORT]);
    fs::write(project.local(EXPORT), text).unwrap();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    let (_, finished) = take(&project, &Request::default()).unwrap().unwrap();
    assert_eq!(at(&project, &finished.kept.unwrap(), EXPORT), "staged only");
    assert_in_step(&project);
}

#[test]
fn commits_made_while_a_patch_is_open_outlive_an_abort() {
    let project = shown();
    manager(&project).edit("fused").unwrap();
    edit_local(&project, EXPORT, "export line 3\n", "committed\n");
    project.git(&["commit", "--quiet", "--all", "--message", "why I did it"]);
    edit_local(&project, EXPORT, "committed\n", "on disk\n");
    let finished = manager(&project).abort().unwrap();
    let kept = finished.kept.unwrap();
    assert!(at(&project, &kept, EXPORT).contains("on disk"));
    let log = project.git(&["log", "--format=%s", &kept]);
    assert!(log.contains("why I did it"), "{log}");
    assert_in_step(&project);
}

#[test]
fn a_git_command_at_work_stops_an_undo_before_it_writes() {
    let project = shown();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    take(&project, &Request::default()).unwrap().unwrap();
    let before = files(&project);
    fs::write(project.local(".git/index.lock"), "").unwrap();
    for attempt in [Manager::undo, Manager::redo, Manager::abort, Manager::skip] {
        let error = attempt(&manager(&project)).unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Conflict | Kind::Usage),
            "{error}"
        );
        assert_eq!(files(&project), before);
    }
    assert_eq!(manager(&project).undo().unwrap_err().kind(), Kind::Conflict);
    assert_eq!(project.git(&["for-each-ref", "refs/mlx-fork/pending"]), "");
    fs::remove_file(project.local(".git/index.lock")).unwrap();
    manager(&project).undo().unwrap();
    assert_eq!(files(&project)["mlx_primitives/a.cpp"], b"int a;\n");
}

#[test]
fn files_of_the_project_that_are_not_the_series_are_never_written_over() {
    let project = shown();
    let manifest = project.layout.patches().join("series.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("requires = [\"fused\"]\n", "")).unwrap();
    project.patch("0001-second.patch", "a note of mine\n");
    project.own("new.cpp", "mine\n");
    let before = files(&project);
    let order = vec!["second".to_string(), "fused".into()];
    let error = run(&project, Plan::Reorder { order }).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(
        error.what().contains("patches/0001-second.patch"),
        "{error}"
    );
    fs::write(project.local("mlx/fused/new.cpp"), "int n;\n").unwrap();
    for (source, says) in [
        ("mlx_primitives/new.cpp", "not of the series"),
        ("mlx_primitives/a.cpp", "two things at once"),
        ("patches/series.toml", "two things at once"),
    ] {
        let mut request = into("second");
        request
            .own
            .insert("mlx/fused/new.cpp".into(), source.into());
        let error = take(&project, &request).unwrap_err();
        assert!(error.what().contains(says), "{source}: {error}");
        assert_eq!(files(&project), before, "{source}");
    }
}

#[test]
fn what_stands_in_the_way_of_a_new_file_stops_an_operation_and_outlives_a_recovery() {
    for in_the_way in ["a file", "a folder", "a link"] {
        let project = shown();
        let before = at_fork(&project);
        edit_local(&project, EXPORT, "export line 20\n", "line twenty\n");
        fs::create_dir(project.local("more")).unwrap();
        fs::write(project.local("more/new.cpp"), "int n;\n").unwrap();
        let mut request = into("second");
        let source = "mlx_primitives/new.cpp";
        request.own.insert("more/new.cpp".into(), source.into());
        take(&project, &request).unwrap().unwrap();
        let after = at_fork(&project);
        manager(&project).undo().unwrap();
        fs::remove_dir_all(project.local("more")).unwrap();
        project.git(&["checkout", "--quiet", "--", "."]);
        let place = match in_the_way {
            "a folder" => "more/new.cpp/mine",
            _ => "more",
        };
        fs::create_dir_all(project.local(place).parent().unwrap()).unwrap();
        match in_the_way {
            "a link" => symlink("/somewhere", project.local(place)).unwrap(),
            _ => fs::write(project.local(place), "mine\n").unwrap(),
        }
        let now = files(&project);
        let error = manager(&project).redo().unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{in_the_way}");
        assert_eq!(files(&project), now, "{in_the_way}");
        // A recovery can't refuse: it does the rest.
        let left = local::arrive(&project.layout, before, after).unwrap();
        assert_eq!(left, [Path::new("more/new.cpp")], "{in_the_way}");
        let there = project.local(place).symlink_metadata().unwrap();
        assert!(!there.is_dir(), "{in_the_way}");
        let text = fs::read_to_string(project.local(EXPORT)).unwrap();
        assert!(text.contains("line twenty"), "{in_the_way}");
    }
}

/// Where `mlx_local` is, without edits.
fn at_fork(project: &Project) -> State {
    let shown = project.repo().refname_to_id("refs/mlx-fork/fork");
    State {
        shown: shown.unwrap(),
        worktree: None,
    }
}

#[test]
fn an_open_edit_of_the_last_patch_stops_an_undo() {
    let project = shown();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    take(&project, &Request::default()).unwrap().unwrap();
    manager(&project).edit("second").unwrap();
    let error = manager(&project).undo().unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.what().contains("second is open"), "{error}");
}

#[test]
fn a_link_in_the_place_of_a_folder_is_kept_as_a_link() {
    let project = shown();
    manager(&project).edit("fused").unwrap();
    let away = project.dir.path().join("tools");
    fs::rename(project.local("tools"), &away).unwrap();
    symlink(&away, project.local("tools")).unwrap();
    let finished = manager(&project).abort().unwrap();
    let kept = finished.kept.unwrap();
    let tree = project.git(&["ls-tree", &kept, "tools"]);
    assert!(tree.starts_with("120000"), "{tree}");
    assert!(away.join("run.sh").is_file());
    assert_in_step(&project);
}

#[test]
fn a_folder_with_ignored_files_stops_keep_before_it_writes() {
    let project = shown();
    edit_local(&project, EXPORT, "export line 3\n", "mine\n");
    fs::remove_file(project.local("build/kept.txt")).unwrap();
    fs::create_dir(project.local("build/kept.txt")).unwrap();
    fs::write(project.local("build/kept.txt/mine"), "ignored\n").unwrap();
    let before = shows(&project.layout.mlx_local());
    let error = mlx_fork::git::edits::keep(&project.layout).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.what().contains("build/kept.txt"), "{error}");
    assert_eq!(shows(&project.layout.mlx_local()), before);
    assert_eq!(project.git(&["for-each-ref", "refs/mlx-fork/kept"]), "");
}
