//! Checkouts on a small upstream: only what differs is written, a person's edits are never
//! lost, and a kill at any instant ends, at the next run, where no kill would have.

mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mlx_fork::git::{checkout, edits};
use mlx_fork::series::{self, Fork};
use mlx_fork::{Error, Kind};
use synthetic::{BINDING, CMAKE, EXPORT, Project, holds, shows};

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

/// An edit by name, how it is made, and what the refusal has to name.
type Case = (&'static str, fn(&Project), &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "modified",
        |p| fs::write(p.local(EXPORT), "mine\n").unwrap(),
        &["modified  mlx/export.cpp"],
    ),
    (
        "modified, same size and time",
        |p| {
            let path = p.local(EXPORT);
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace("line 9\n", "line X\n");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, text).unwrap();
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        },
        &["modified  mlx/export.cpp"],
    ),
    (
        "modified overlay",
        |p| fs::write(p.local("mlx/fused/a.cpp"), "mine\n").unwrap(),
        &["modified  mlx/fused/a.cpp"],
    ),
    (
        "deleted",
        |p| fs::remove_file(p.local(CMAKE)).unwrap(),
        &["deleted   mlx/CMakeLists.txt"],
    ),
    (
        "mode",
        |p| fs::set_permissions(p.local(CMAKE), fs::Permissions::from_mode(0o755)).unwrap(),
        &["mode      mlx/CMakeLists.txt"],
    ),
    (
        "file to link",
        |p| {
            fs::remove_file(p.local(CMAKE)).unwrap();
            symlink("export.cpp", p.local(CMAKE)).unwrap();
        },
        &["type      mlx/CMakeLists.txt"],
    ),
    (
        "file to folder",
        |p| {
            fs::remove_file(p.local(CMAKE)).unwrap();
            fs::create_dir(p.local(CMAKE)).unwrap();
            fs::write(p.local(CMAKE).join("mine"), "mine\n").unwrap();
        },
        &["type      mlx/CMakeLists.txt"],
    ),
    (
        "folder to link",
        |p| {
            fs::rename(p.local("tools"), p.dir.path().join("tools")).unwrap();
            symlink(p.dir.path().join("tools"), p.local("tools")).unwrap();
        },
        &["deleted   tools/run.sh", "type      tools"],
    ),
    (
        "added where the fork wants a file",
        |p| {
            fs::create_dir(p.local("mlx/new")).unwrap();
            fs::write(p.local("mlx/new/c.cpp"), "mine\n").unwrap();
        },
        &["added     mlx/new/c.cpp"],
    ),
    (
        "added where the fork wants a folder",
        |p| fs::write(p.local("mlx/new"), "mine\n").unwrap(),
        &["type      mlx/new"],
    ),
    (
        "a folder where the fork wants a file",
        |p| {
            fs::create_dir_all(p.local("mlx/new/c.cpp")).unwrap();
            fs::write(p.local("mlx/new/c.cpp/x.o"), "mine\n").unwrap();
        },
        &["mlx/new/c.cpp"],
    ),
    (
        "staged",
        |p| {
            let text = fs::read(p.local(EXPORT)).unwrap();
            fs::write(p.local(EXPORT), "staged\n").unwrap();
            p.git(&["add", EXPORT]);
            fs::write(p.local(EXPORT), text).unwrap();
        },
        &["staged    mlx/export.cpp"],
    ),
    (
        "staged new file",
        |p| {
            fs::write(p.local("mine.txt"), "mine\n").unwrap();
            p.git(&["add", "mine.txt"]);
        },
        &["added     mine.txt"],
    ),
    (
        "staged deletion",
        |p| drop(p.git(&["rm", "--quiet", BINDING])),
        &["deleted   python/src/mlx.cpp"],
    ),
    (
        "committed",
        |p| {
            fs::write(p.local(EXPORT), "mine\n").unwrap();
            p.git(&["commit", "--quiet", "-am", "mine"]);
        },
        &["1 commit(s)", "modified  mlx/export.cpp"],
    ),
    (
        "committed and undone in the files",
        |p| {
            p.git(&["commit", "--quiet", "--allow-empty", "-m", "mine"]);
        },
        &["1 commit(s)"],
    ),
    (
        "another branch",
        |p| drop(p.git(&["switch", "--quiet", "--create", "mine"])),
        &["on the branch mine"],
    ),
    (
        "another branch at other files",
        |p| drop(p.git(&["switch", "--quiet", "--create", "mine", "HEAD~1"])),
        &["on the branch mine"],
    ),
    (
        "detached",
        |p| drop(p.git(&["checkout", "--quiet", "--detach"])),
        &["detached"],
    ),
    (
        "in a merge",
        |p| {
            p.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"]);
            fs::write(p.local(BINDING), "side\n").unwrap();
            p.git(&["commit", "--quiet", "-am", "side"]);
            p.git(&["switch", "--quiet", "fork"]);
            assert!(!p.try_git(&["merge", "side"]).status.success());
        },
        &["a merge is not finished", "unmerged  python/src/mlx.cpp"],
    ),
    (
        "in a rebase",
        |p| {
            p.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"]);
            fs::write(p.local(BINDING), "side\n").unwrap();
            p.git(&["commit", "--quiet", "-am", "side"]);
            assert!(!p.try_git(&["rebase", "fork"]).status.success());
        },
        &["a rebase is not finished"],
    ),
    (
        "a git command at work",
        |p| fs::write(p.local(".git/index.lock"), "").unwrap(),
        &["index.lock"],
    ),
    (
        "a damaged index and an edit",
        |p| {
            fs::write(p.local(".git/index"), "rubbish").unwrap();
            fs::write(p.local(EXPORT), "mine\n").unwrap();
        },
        &["modified  mlx/export.cpp"],
    ),
];

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
fn the_build_folder_shows_the_tree_whatever_was_done_to_it() {
    let project = Project::new();
    let fork = project.shown();
    let root = project.layout.build_source();
    let base = project.git(&["rev-parse", &format!("{}^{{tree}}", project.base)]);
    let head = fs::read(project.local(".git/index")).unwrap();
    checkout::materialize(&project.layout, &base).unwrap();
    assert_eq!(shows(&root), holds(&project.repo(), &base));
    let before = times(&root);
    let changed = checkout::materialize(&project.layout, &fork.tree).unwrap();
    assert_eq!(shows(&root), holds(&project.repo(), &fork.tree));
    let after = times(&root);
    for (path, time) in &after {
        assert_eq!(
            before.get(path) == Some(time),
            !changed.written.contains(path),
            "{path:?}"
        );
    }
    assert_eq!(
        checkout::materialize(&project.layout, &fork.tree).unwrap(),
        checkout::Changed::default()
    );
    assert_eq!(times(&root), after);

    let spoil: &[fn(&Path)] = &[
        |r| fs::write(r.join(EXPORT), "changed").unwrap(),
        |r| fs::remove_file(r.join(CMAKE)).unwrap(),
        |r| fs::write(r.join("stray"), "").unwrap(),
        |r| {
            fs::create_dir_all(r.join("stray/.git/deep")).unwrap();
            fs::write(r.join("stray/.git/deep/x"), "").unwrap();
            fs::create_dir_all(r.join("mlx/.git")).unwrap();
        },
        |r| fs::set_permissions(r.join(CMAKE), fs::Permissions::from_mode(0o755)).unwrap(),
        |r| {
            fs::remove_dir_all(r.join("mlx")).unwrap();
            symlink("/tmp", r.join("mlx")).unwrap();
        },
        |r| {
            fs::remove_file(r.join(CMAKE)).unwrap();
            fs::create_dir_all(r.join(CMAKE).join("x/y")).unwrap();
        },
        |r| {
            fs::remove_dir_all(r.join("mlx")).unwrap();
            fs::write(r.join("mlx"), "").unwrap();
        },
        |r| fs::remove_file(r.with_file_name("src.index")).unwrap(),
        |r| fs::write(r.with_file_name("src.index"), "rubbish").unwrap(),
        |r| fs::write(r.with_file_name("src.index"), "").unwrap(),
        |r| {
            fs::remove_dir_all(r).unwrap();
            fs::write(r, "a file").unwrap();
        },
    ];
    for (number, spoil) in spoil.iter().enumerate() {
        let before = times(&root);
        spoil(&root);
        checkout::materialize(&project.layout, &fork.tree).unwrap();
        assert_eq!(shows(&root), holds(&project.repo(), &fork.tree), "{number}");
        if (8..=10).contains(&number) {
            assert_eq!(times(&root), before, "{number}: a lost index rewrote files");
        }
        assert_eq!(
            checkout::materialize(&project.layout, &fork.tree).unwrap(),
            checkout::Changed::default()
        );
    }
    assert_eq!(fs::read(project.local(".git/index")).unwrap(), head);
    assert_shows(&project, &fork);
}

/// Run as a child by the test below, and killed.
#[test]
fn child_composes_and_checks_out() {
    let Ok(root) = std::env::var("EDITS_TEST_ROOT") else {
        return;
    };
    let layout = mlx_fork::layout::Layout::at(&root, format!("{root}/target/mlx"));
    println!("BEGUN");
    for _ in 0.. {
        for text in ["int a = 10;\n", "int a = 11;\n"] {
            fs::write(Path::new(&root).join("mlx_primitives/a.cpp"), text).unwrap();
            let series = series::load(&layout).unwrap();
            for (features, base) in [
                (vec!["second".to_string()], "base"),
                (vec![], "next"),
                (vec!["second".into()], "next"),
            ] {
                let base = std::env::var(format!("EDITS_TEST_{base}")).unwrap();
                let fork =
                    series::compose(&layout, &series.clone().select(&features).unwrap(), &base)
                        .unwrap();
                checkout::fork(&layout, &fork).unwrap();
                checkout::materialize(&layout, &fork.tree).unwrap();
            }
        }
    }
}

#[test]
fn a_kill_at_any_instant_is_made_good_by_the_next_run() {
    let project = Project::new();
    let mut seed = 88_172_645_463_325_252_u64;
    let end = Instant::now() + Duration::from_secs(20);
    let mut rounds = 0;
    while rounds < 40 && Instant::now() < end {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_composes_and_checks_out", "--nocapture"])
            .env("EDITS_TEST_ROOT", project.layout.root())
            .env("EDITS_TEST_base", project.base.to_string())
            .env("EDITS_TEST_next", project.next.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        while !line.contains("BEGUN") {
            line.clear();
            assert!(
                std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0,
                "the child failed"
            );
        }
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_micros(seed % 60_000));
        // It runs until it is killed: an earlier end is a failure of its own.
        assert!(
            child.try_wait().unwrap().is_none(),
            "round {rounds}: the child failed"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        // Half of the time the next run is for another fork than the one that was killed.
        if rounds % 2 == 0 {
            project.own("a.cpp", "int a;\n");
        } else {
            project.own("a.cpp", "int a = 11;\n");
        }
        let fork = project.shown();
        assert_shows(&project, &fork);
        checkout::materialize(&project.layout, &fork.tree).unwrap();
        assert_eq!(
            shows(&project.layout.build_source()),
            holds(&project.repo(), &fork.tree)
        );
        rounds += 1;
    }
    assert!(rounds >= 5, "only {rounds} rounds");
    assert_eq!(project.git(&["fsck", "--no-dangling"]), "");
}

#[test]
fn leftovers_of_a_killed_run_are_no_obstacle() {
    let project = Project::new();
    project.shown();
    let second = next_version(&project);
    fs::write(project.local(".git/index.lock"), "mlx-fork\n").unwrap();
    fs::write(project.local(".git/refs/heads/fork.lock"), "").unwrap();
    fs::write(project.local(".git/HEAD.lock"), "").unwrap();
    fs::write(project.local(".git/mlx-fork/index.lock"), "").unwrap();
    checkout::fork(&project.layout, &second).unwrap();
    assert_shows(&project, &second);
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
