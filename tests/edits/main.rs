//! Checkouts on a small upstream: only what differs is written, a person's edits are never
//! lost, and a kill at any instant ends, at the next run, where no kill would have.

mod build_folder;
mod cases;
mod kills;
#[path = "../common/series_upstream.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mlx_fork::git::{checkout, edits};
use mlx_fork::series::Fork;
use mlx_fork::{Error, Kind};

use cases::CASES;
use synthetic::{CMAKE, EXPORT, Project, holds, shows};

type Times = BTreeMap<PathBuf, (i64, i64, u64)>;

fn times(folder: &Path) -> Times {
    let mut found = Times::new();
    for (name, ..) in shows(folder) {
        let meta = folder.join(&name).symlink_metadata().unwrap();
        found.insert(name.into(), (meta.mtime(), meta.mtime_nsec(), meta.ino()));
    }
    found
}

/// The next version of the fork: one overlay file changed, another added.
fn next_version(project: &Project) -> Fork {
    project.own("a.cpp", "int a = 2;\n");
    project.own("c.cpp", "int c;\n");
    let manifest = project.layout.patches().join("series.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text.replace(
        "\"mlx/fused/a.cpp\"]",
        "\"mlx/fused/a.cpp\"], [\"mlx_primitives/c.cpp\", \"mlx/new/c.cpp\"]",
    );
    fs::write(manifest, text).unwrap();
    project.compose()
}

fn assert_shows(project: &Project, fork: &Fork) {
    assert_eq!(
        shows(&project.layout.mlx_local()),
        holds(&project.repo(), &fork.tree)
    );
    assert_eq!(project.git(&["status", "--porcelain", "--ignored=no"]), "");
    assert_eq!(project.git(&["symbolic-ref", "HEAD"]), "refs/heads/fork");
    for name in ["refs/heads/fork", "refs/mlx-fork/fork"] {
        assert_eq!(project.git(&["rev-parse", name]), fork.id);
    }
    assert_eq!(project.git(&["for-each-ref", "refs/mlx-fork/showing"]), "");
    assert!(!project.local(".git/index.lock").exists());
}

#[test]
fn only_files_that_differ_are_written() {
    let project = Project::new();
    let first = project.shown();
    assert_shows(&project, &first);
    let before = times(&project.layout.mlx_local());
    let second = next_version(&project);
    let changed = checkout::fork(&project.layout, &second).unwrap();
    assert_shows(&project, &second);
    assert_eq!(
        changed.written,
        [PathBuf::from("mlx/fused/a.cpp"), "mlx/new/c.cpp".into()]
    );
    let after = times(&project.layout.mlx_local());
    let differ: Vec<_> = after
        .iter()
        .filter(|(path, time)| before.get(*path) != Some(time))
        .map(|(p, _)| p.clone())
        .collect();
    assert_eq!(differ, changed.written);
    let back = checkout::fork(&project.layout, &first).unwrap();
    assert_eq!(back.removed, [PathBuf::from("mlx/new/c.cpp")]);
    assert!(!project.local("mlx/new").exists());
    assert_shows(&project, &first);
    assert_eq!(
        checkout::fork(&project.layout, &first).unwrap(),
        checkout::Changed::default()
    );
}

fn text(error: &Error) -> String {
    format!("{error}\n{}", error.hints().join("\n"))
}

#[test]
fn every_edit_stops_the_checkout_and_nothing_is_written() {
    for (name, edit, says) in CASES {
        let project = Project::new();
        let first = project.shown();
        let second = next_version(&project);
        edit(&project);
        let before = project.everything();
        for fork in [&second, &first] {
            // What is in the way of the second only is in nobody's way of the first.
            let error = match checkout::fork(&project.layout, fork) {
                Err(error) => error,
                Ok(changed) if fork == &first && name.contains("the fork wants") => {
                    assert_eq!(changed.written, Vec::<PathBuf>::new());
                    continue;
                }
                Ok(changed) => panic!("{name}: {changed:?}"),
            };
            assert_eq!(error.kind(), Kind::Conflict, "{name}: {error}");
            assert!(!error.hints().is_empty(), "{name}: no way out");
            if fork == &second {
                for part in *says {
                    assert!(text(&error).contains(part), "{name}: {}", text(&error));
                }
            }
            assert_eq!(
                project.everything(),
                before,
                "{name}: something was written"
            );
        }
        // The build's own folder doesn't care, and touches nothing of a person's.
        checkout::materialize(&project.layout, &second.tree).unwrap();
        assert_eq!(
            shows(&project.layout.build_source()),
            holds(&project.repo(), &second.tree)
        );
        let kept: Vec<_> = project
            .everything()
            .into_iter()
            .filter(|(p, _)| p.starts_with(project.layout.mlx_local()))
            .collect();
        let before: Vec<_> = before
            .into_iter()
            .filter(|(p, _)| p.starts_with(project.layout.mlx_local()))
            .collect();
        assert_eq!(kept, before, "{name}");
    }
}

#[test]
fn the_three_ways_out_are_commands_with_the_names() {
    let project = Project::new();
    project.shown();
    fs::write(project.local(EXPORT), "mine\n").unwrap();
    fs::remove_file(project.local(CMAKE)).unwrap();
    let error = checkout::fork(&project.layout, &next_version(&project)).unwrap_err();
    let hints = error.hints().join("\n");
    for part in [
        "cargo xtask edits patch my.patch",
        "cargo xtask edits keep",
        "cargo xtask edits drop mlx/CMakeLists.txt mlx/export.cpp",
    ] {
        assert!(hints.contains(part), "{hints}");
    }
}

#[test]
fn edits_that_are_what_the_new_fork_has_are_no_conflict() {
    let project = Project::new();
    project.shown();
    let second = next_version(&project);
    fs::write(project.local("mlx/fused/a.cpp"), "int a = 2;\n").unwrap();
    fs::create_dir(project.local("mlx/new")).unwrap();
    fs::write(project.local("mlx/new/c.cpp"), "int c;\n").unwrap();
    project.git(&["add", "mlx/new/c.cpp"]);
    let changed = checkout::fork(&project.layout, &second).unwrap();
    assert_eq!(changed, checkout::Changed::default());
    assert_shows(&project, &second);
}

#[test]
fn files_in_nobodys_way_are_left_alone_and_noted() {
    let project = Project::new();
    project.shown();
    fs::write(project.local("notes.txt"), "mine\n").unwrap();
    fs::write(project.local("mlx/x.o"), "ignored\n").unwrap();
    fs::create_dir_all(project.local("build/deep")).unwrap();
    fs::write(project.local("build/deep/y"), "ignored\n").unwrap();
    fs::create_dir_all(project.local("other/.git")).unwrap();
    let second = next_version(&project);
    let changed = checkout::fork(&project.layout, &second).unwrap();
    assert_eq!(
        changed.untracked,
        [PathBuf::from("notes.txt"), "other".into()]
    );
    for (path, text) in [
        ("notes.txt", "mine\n"),
        ("mlx/x.o", "ignored\n"),
        ("build/deep/y", "ignored\n"),
    ] {
        assert_eq!(fs::read_to_string(project.local(path)).unwrap(), text);
    }
    assert_eq!(project.git(&["rev-parse", "HEAD"]), second.id);
}

#[test]
fn kept_edits_are_a_commit_that_comes_back() {
    for (name, edit, _) in CASES {
        let project = Project::new();
        let fork = project.shown();
        edit(&project);
        fs::write(project.local("also mine"), "untracked\n").unwrap();
        if name.contains("in a ") || name.contains("at work") {
            let before = project.everything();
            assert_eq!(
                edits::keep(&project.layout).unwrap_err().kind(),
                Kind::Conflict,
                "{name}"
            );
            assert_eq!(project.everything().len(), before.len(), "{name}");
            continue;
        }
        let mut files = shows(&project.layout.mlx_local());
        files.retain(|(path, ..)| !path.ends_with(".o"));
        let head = project.git(&["rev-parse", "HEAD"]);
        let kept = edits::keep(&project.layout)
            .unwrap()
            .unwrap_or_else(|| panic!("{name}: nothing kept"));
        let tree = project.git(&["rev-parse", &format!("{}^{{tree}}", kept.reference)]);
        assert_eq!(holds(&project.repo(), &tree), files, "{name}");
        assert_eq!(
            project.git(&["merge-base", &head, &kept.commit]),
            head,
            "{name}: a commit is lost"
        );
        if !name.starts_with("a folder where") {
            assert_shows(&project, &fork);
        }
        assert!(edits::keep(&project.layout).unwrap().is_none(), "{name}");
        // The command that was named brings them back.
        let back = kept.way_back.strip_prefix("git -C mlx_local ").unwrap();
        project.git(&back.split(' ').collect::<Vec<_>>());
        let mut again = shows(&project.layout.mlx_local());
        again.retain(|(path, ..)| !path.ends_with(".o"));
        assert_eq!(again, files, "{name}");
    }
}

#[test]
fn what_was_staged_is_kept_too() {
    let project = Project::new();
    project.shown();
    (CASES.iter().find(|c| c.0 == "staged").unwrap().1)(&project);
    let kept = edits::keep(&project.layout).unwrap().unwrap();
    assert_eq!(
        project.git(&["show", &format!("{}^2:{EXPORT}", kept.commit)]),
        "staged"
    );
}

#[test]
fn dropping_is_by_name_and_all_or_nothing() {
    let project = Project::new();
    let fork = project.shown();
    fs::write(project.local(EXPORT), "mine\n").unwrap();
    fs::remove_file(project.local(CMAKE)).unwrap();
    fs::write(project.local("mine.txt"), "mine\n").unwrap();
    project.git(&["add", "mine.txt"]);
    let drop = |names: &[&str]| {
        edits::drop(
            &project.layout,
            &names.iter().map(PathBuf::from).collect::<Vec<_>>(),
        )
    };
    let error = drop(&[EXPORT, "no/edit"]).unwrap_err();
    assert!(
        error.kind() == Kind::Usage && error.to_string().contains("no/edit"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(project.local(EXPORT)).unwrap(), "mine\n");
    drop(&[EXPORT]).unwrap();
    assert_eq!(
        project.git(&["status", "--porcelain"]),
        "A  mine.txt\n D mlx/CMakeLists.txt"
    );
    drop(&[&format!("mlx_local/{CMAKE}"), "mine.txt"]).unwrap();
    assert_shows(&project, &fork);
    fs::create_dir_all(project.local("other/.git")).unwrap();
    assert_eq!(drop(&["other"]).unwrap_err().kind(), Kind::Conflict);
    assert!(project.local("other/.git").exists());
}

#[test]
fn the_patch_of_the_edits_applies_to_the_fork() {
    let project = Project::new();
    let fork = project.shown();
    fs::write(
        project.local(EXPORT),
        fs::read_to_string(project.local(EXPORT))
            .unwrap()
            .replace("line 20", "line XX"),
    )
    .unwrap();
    fs::write(project.local("mine.txt"), "mine\n").unwrap();
    fs::remove_file(project.local(CMAKE)).unwrap();
    fs::write(project.local("mlx/fused/b.cpp"), b"\0binary").unwrap();
    let before = shows(&project.layout.mlx_local());
    let text = edits::patch(&project.layout).unwrap();
    assert_eq!(shows(&project.layout.mlx_local()), before);
    let file = project.dir.path().join("my.patch");
    fs::write(&file, &text).unwrap();
    edits::keep(&project.layout).unwrap().unwrap();
    assert_shows(&project, &fork);
    project.git(&["apply", file.to_str().unwrap()]);
    assert_eq!(shows(&project.layout.mlx_local()), before);
    edits::keep(&project.layout).unwrap().unwrap();
    assert!(edits::patch(&project.layout).unwrap().is_empty());
}

#[test]
fn a_persons_configuration_has_no_influence() {
    let project = Project::new();
    project.git(&["config", "core.autocrlf", "true"]);
    project.git(&["config", "core.fileMode", "false"]);
    project.git(&["config", "filter.x.smudge", "false"]);
    fs::write(
        project.local(".git/info/attributes"),
        "* text eol=crlf filter=x ident\n",
    )
    .unwrap();
    let fork = project.compose();
    checkout::fork(&project.layout, &fork).unwrap();
    checkout::materialize(&project.layout, &fork.tree).unwrap();
    for folder in [project.layout.mlx_local(), project.layout.build_source()] {
        assert_eq!(shows(&folder), holds(&project.repo(), &fork.tree));
    }
    assert_eq!(
        checkout::fork(&project.layout, &fork).unwrap(),
        checkout::Changed::default()
    );
}

#[test]
fn without_a_checkout_the_command_to_make_one_is_named() {
    let project = Project::new();
    fs::remove_dir_all(project.layout.mlx_local()).unwrap();
    let error = edits::list(&project.layout).unwrap_err();
    assert!(error.hints()[0].contains("setup-mlx") && error.kind() == Kind::Usage);
}
