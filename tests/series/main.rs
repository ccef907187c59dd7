//! The series on a small upstream: one commit a feature, the same ids everywhere, exact
//! application, the port to another commit, and everything that is refused.

mod refused;
#[path = "../common/series_upstream.rs"]
mod synthetic;

use std::fs;
use std::process::Command;

use git2::{ApplyOptions, Diff};
use mlx_fork::series;
use mlx_fork::{Error, Kind};
use synthetic::{
    BINDING, CMAKE, EXPORT, Project, commit, hooked, later_upstream, tree, upstream, with,
};

/// Composes on another upstream than the series' pin.
fn compose_on(project: &Project, files: &synthetic::Files) -> mlx_fork::Result<series::Fork> {
    let repo = project.repo();
    let commit = commit(&repo, tree(&repo, files));
    series::compose(&project.layout, &project.series(), &commit.to_string())
}

fn compose_error(project: &Project) -> Error {
    let before = project.everything();
    let composed = series::load(&project.layout)
        .and_then(|series| series::compose(&project.layout, &series, &project.base.to_string()));
    let error = composed.unwrap_err();
    assert_eq!(
        project.everything(),
        before,
        "something was written: {error}"
    );
    error
}

#[test]
fn each_feature_becomes_one_commit_of_its_overlay_and_its_patch() {
    let project = Project::new();
    let fork = project.compose();
    let names: Vec<&str> = fork.commits.iter().map(|c| c.feature.as_str()).collect();
    assert_eq!(names, ["fused", "second"]);
    assert!(!fork.ported);
    let changed = project.git(&[
        "diff-tree",
        "-r",
        "--name-status",
        "--no-commit-id",
        &fork.commits[1].id,
    ]);
    assert_eq!(changed, "A\tmlx/fused/b.cpp\nM\tpython/src/mlx.cpp");
    let log = project.git(&["log", "--format=%an <%ae> %at %cn %ct|%B", "-1", &fork.id]);
    assert_eq!(
        log,
        "mlx-fork <mlx-fork@localhost> 1767225600 mlx-fork 1767225600|Hook second into the build\n\n\
         What it is for.\n\nUpstream-Status: not-sent\nFeature: second"
    );
    let modes = project.git(&["ls-tree", &fork.id, "mlx/fused/", "tools/"]);
    assert!(modes.contains("100644 blob"), "{modes}");
    let repo = project.repo();
    let b = repo
        .revparse_single(&format!("{}:mlx/fused/b.cpp", fork.id))
        .unwrap();
    assert_eq!(b.as_blob().unwrap().content(), b"int b;\r\n\0");
    assert!(project.git(&["fsck", "--no-dangling"]).is_empty());
}

#[test]
fn a_patch_applies_to_the_same_bytes_as_with_git_and_with_libgit2() {
    let project = Project::new();
    let fork = project.compose();
    let repo = project.repo();
    let mut base = repo.find_commit(project.base).unwrap().tree().unwrap();
    for name in ["0001-fused.patch", "0002-second.patch"] {
        let bytes = fs::read(project.layout.patches().join(name)).unwrap();
        let start = bytes.windows(11).position(|w| w == b"diff --git ").unwrap();
        let diff = Diff::from_buffer(&bytes[start..]).unwrap();
        let mut index = repo.apply_to_tree(&base, &diff, None).unwrap();
        base = repo.find_tree(index.write_tree_to(&repo).unwrap()).unwrap();
    }
    for (path, ..) in upstream() {
        let of = |tree: &git2::Tree<'_>| tree.get_path(path.as_ref()).unwrap().id();
        let ours = repo.find_tree(fork.tree.parse().unwrap()).unwrap();
        assert_eq!(of(&ours), of(&base), "{path}");
    }
    let dir = tempfile::tempdir().unwrap();
    project.git(&[
        "worktree",
        "add",
        "--detach",
        dir.path().join("w").to_str().unwrap(),
        &project.base.to_string(),
    ]);
    for name in ["0001-fused.patch", "0002-second.patch"] {
        let patch = project.layout.patches().join(name);
        let output = Command::new("git")
            .arg("-C")
            .arg(dir.path().join("w"))
            .arg("am")
            .arg(patch)
            .env("GIT_COMMITTER_NAME", "x")
            .env("GIT_COMMITTER_EMAIL", "x")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("w").join(EXPORT)).unwrap(),
        hooked()[5].1
    );
}

/// Run again as a child in another environment by the test below: prints the fork id.
#[test]
fn child_prints_the_fork_id() {
    let Ok(root) = std::env::var("SERIES_TEST_ROOT") else {
        return;
    };
    let layout = mlx_fork::layout::Layout::at(&root, format!("{root}/target/mlx"));
    let series = series::load(&layout).unwrap();
    for base in std::env::var("SERIES_TEST_BASES").unwrap().split(',') {
        let fork = series::compose(&layout, &series, base).unwrap();
        println!("ID {} {} {}", fork.id, fork.tree, series.content_key());
    }
}

#[test]
fn the_fork_id_is_the_same_in_every_home_zone_locale_umask_and_configuration() {
    let mut ids = Vec::new();
    for (umask, zone, locale, config) in [
        ("022", "UTC", "C", ""),
        (
            "077",
            "Asia/Kathmandu",
            "tr_TR.UTF-8",
            "[core]\nautocrlf=true\nfilemode=false\nprecomposeunicode=true\n[user]\nname=X\nemail=x\n[merge]\nconflictstyle=diff3\n",
        ),
        (
            "000",
            "America/St_Johns",
            "de_DE.ISO-8859-1",
            "[core]\neol=crlf\nattributesFile=HOME/attributes\n[i18n]\ncommitEncoding=ISO-8859-1\n[commit]\ngpgSign=true\n[merge \"union\"]\ndriver=false\n[merge]\nrenames=false\n[init]\ndefaultBranch=x\n",
        ),
    ] {
        let project = Project::new();
        let home = project.dir.path().join("home");
        fs::create_dir_all(&home).unwrap();
        fs::write(
            home.join("attributes"),
            "* merge=ours text eol=crlf ident\n",
        )
        .unwrap();
        fs::write(
            home.join(".gitconfig"),
            config.replace("HOME", home.to_str().unwrap()),
        )
        .unwrap();
        fs::write(project.local(".gitattributes"), "* merge=union\n").unwrap();
        // The mode of a file is series.toml's to say.
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(project.layout.root().join("mlx_primitives/a.cpp"), mode).unwrap();
        let output = Command::new("sh")
            .args(["-c", "umask $0; exec \"$@\"", umask])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child_prints_the_fork_id", "--nocapture"])
            .env("SERIES_TEST_ROOT", project.layout.root())
            .env(
                "SERIES_TEST_BASES",
                format!("{},{}", project.base, project.next),
            )
            .envs([
                ("HOME", home.to_str().unwrap()),
                ("TZ", zone),
                ("LC_ALL", locale),
            ])
            .envs([
                ("GIT_AUTHOR_NAME", "Y"),
                ("GIT_COMMITTER_DATE", "1 Jan 2001"),
                ("GIT_INDEX_FILE", "/nowhere"),
            ])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = said
            .lines()
            .filter_map(|l| l.split_once("ID "))
            .map(|(_, id)| id)
            .collect();
        assert_eq!(
            lines.len(),
            2,
            "{said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        ids.push(lines.join("\n"));
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:#?}");
    // What these ids were when the format was settled: a change of them changes every fork.
    assert_eq!(
        ids[0].split(' ').next(),
        Some("b1468bec60224c0e0dae1f87d47fadec5388497f")
    );
}

#[test]
fn an_offset_of_one_line_is_refused_and_the_place_named() {
    let project = Project::new();
    let repo = project.repo();
    let moved = with(
        upstream(),
        EXPORT,
        "export line 1\n",
        "a new first line\nexport line 1\n",
    );
    let moved = commit(&repo, tree(&repo, &moved));
    // The pin itself moves: then nothing may be carried over, everything must fit.
    repo.reference("refs/mlx-fork/pins/base", moved, true, "")
        .unwrap();
    let error =
        series::compose(&project.layout, &project.series(), &moved.to_string()).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let what = error.to_string();
    for part in [
        "2 places",
        "0001-fused.patch: mlx/export.cpp @@ -9,4 +9,5 @@: its lines stand at line 10 now, 1 further down",
        "0001-fused.patch: mlx/export.cpp @@ -28,4 +29,5 @@: its lines stand at line 29 now, 1 further down",
        "    | export line 10",
    ] {
        assert!(what.contains(part), "{part}: {what}");
    }
    // libgit2 refuses offsets too: the fact that the port, not the application, is for them.
    let bytes = fs::read(project.layout.patches().join("0001-fused.patch")).unwrap();
    let start = bytes.windows(11).position(|w| w == b"diff --git ").unwrap();
    let diff = Diff::from_buffer(&bytes[start..]).unwrap();
    let tree = repo.find_commit(moved).unwrap().tree().unwrap();
    assert!(
        repo.apply_to_tree(&tree, &diff, Some(&mut ApplyOptions::new()))
            .is_err()
    );
}

#[test]
fn all_failing_hunks_of_all_patches_are_reported() {
    let project = Project::new();
    let repo = project.repo();
    let files = with(upstream(), EXPORT, "export line 9\n", "export line nine\n");
    let files = with(
        files,
        EXPORT,
        "export line 31\n",
        "export line thirty-one\n",
    );
    let files = with(files, BINDING, "binding line 15\n", "");
    let changed = commit(&repo, tree(&repo, &files));
    repo.reference("refs/mlx-fork/pins/base", changed, true, "")
        .unwrap();
    let error =
        series::compose(&project.layout, &project.series(), &changed.to_string()).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let what = error.to_string();
    for part in [
        "3 places",
        "export.cpp @@ -9,4",
        "export.cpp @@ -28,4",
        "3 of its 4 lines found",
        "0002-second.patch: python/src/mlx.cpp @@ -14,4",
    ] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn another_commit_is_reached_by_a_port() {
    let project = Project::new();
    let fork = compose_on(&project, &later_upstream()).unwrap();
    assert!(fork.ported);
    let repo = project.repo();
    let of = |path: &str| {
        let object = repo
            .revparse_single(&format!("{}:{path}", fork.id))
            .unwrap();
        String::from_utf8(object.as_blob().unwrap().content().to_vec()).unwrap()
    };
    assert_eq!(
        of(EXPORT),
        format!("new 1\nnew 2\nnew 3\n{}", hooked()[5].1)
    );
    assert!(of(BINDING).contains("binding line 15\nbind\n") && of(BINDING).contains("twenty-nine"));
    assert_eq!(of("mlx/fused/a.cpp"), "int a;\n");
    assert_eq!(fork, compose_on(&project, &later_upstream()).unwrap());
    // git's own cherry-pick makes the same trees.
    let exact = project.compose();
    project.git(&["checkout", "--quiet", "--detach", &fork.base]);
    for commit in &exact.commits {
        project.git(&["cherry-pick", &commit.id]);
    }
    assert_eq!(project.git(&["rev-parse", "HEAD^{tree}"]), fork.tree);
}

#[test]
fn a_port_that_conflicts_names_every_hunk() {
    let project = Project::new();
    let files = with(
        later_upstream(),
        EXPORT,
        "export line 10\n",
        "export line ten\n",
    );
    let files = with(files, EXPORT, "export line 29\nexport line 30\n", "other\n");
    let mut files = with(
        files,
        BINDING,
        "binding line 15\n",
        "binding line fifteen\n",
    );
    files.retain(|(path, ..)| *path != CMAKE);
    files.push(("mlx/fused/b.cpp", "upstream's\n".into(), 0o100644));
    let error = compose_on(&project, &files).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let what = error.to_string();
    for part in [
        "5 places",
        "mlx/CMakeLists.txt @@ -19,2 +19,3 @@: the file isn't there",
        "mlx/export.cpp @@ -9,4 +9,5 @@: its context is changed: 3 of its 4 lines found, nearest from line 12, 3 further down",
        "mlx/export.cpp @@ -28,4 +29,5 @@: its context is changed: 2 of its 4",
        "0002-second.patch: python/src/mlx.cpp @@ -14,4 +14,5 @@",
        "mlx_primitives/b.cpp: mlx/fused/b.cpp: upstream has a file of that name",
    ] {
        assert!(what.contains(part), "{part}: {what}");
    }
}

#[test]
fn features_can_be_left_out_and_bring_what_they_require() {
    let project = Project::new();
    let all = project.series();
    let compose = |series: &series::Series| {
        series::compose(&project.layout, series, &project.base.to_string()).unwrap()
    };
    let first = all.clone().select(&["fused".into()]).unwrap();
    assert_eq!(compose(&first).commits, compose(&all).commits[..1]);
    let second = all.clone().select(&["second".into()]).unwrap();
    assert_eq!(compose(&second), compose(&all));
    let none = all.clone().select(&[]).unwrap();
    assert_eq!(compose(&none).id, project.base.to_string());
    assert_ne!(first.content_key(), all.content_key());
    let error = all.select(&["third".into()]).unwrap_err();
    assert!(error.hints()[0].contains("fused, second") && error.kind() == Kind::Usage);

    // Without the requirement: the one in between is left out, its neighbours stay.
    let manifest = fs::read_to_string(project.layout.patches().join("series.toml")).unwrap();
    project.manifest(&manifest.replace("requires = [\"fused\"]\n", ""));
    let alone = compose(&project.series().select(&["second".into()]).unwrap());
    let files = project.git(&["ls-tree", "-r", "--name-only", &alone.id]);
    assert!(files.contains("fused/b.cpp") && !files.contains("fused/a.cpp"));
    assert!(!alone.ported && alone.commits.len() == 1);
}

#[test]
fn without_the_pin_the_callers_mistake_is_named() {
    let project = Project::new();
    project
        .repo()
        .find_reference("refs/mlx-fork/pins/base")
        .unwrap()
        .delete()
        .unwrap();
    let error = series::compose(
        &project.layout,
        &project.series(),
        &project.next.to_string(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Bug);
    assert!(error.to_string().contains("refs/mlx-fork/pins/base"));
}

#[test]
fn a_series_that_names_what_is_not_there_or_not_its_own_is_refused() {
    let project = Project::new();
    let manifest = fs::read_to_string(project.layout.patches().join("series.toml")).unwrap();
    std::os::unix::fs::symlink(
        "/etc/hostname",
        project.layout.root().join("mlx_primitives/l.cpp"),
    )
    .unwrap();
    for (from, to, says) in [
        (
            "mlx_primitives/a.cpp",
            "mlx_primitives/none.cpp",
            "none.cpp can't be read",
        ),
        (
            "mlx_primitives/a.cpp",
            "mlx_primitives/l.cpp",
            "symbolic link",
        ),
        ("mlx_primitives/a.cpp", "mlx_primitives", "no regular file"),
        ("0001-fused.patch", "0001-none.patch", "0001-none.patch"),
        ("mlx/fused/a.cpp", "link/a.cpp", "symbolic link link"),
        (
            "mlx/fused/a.cpp",
            "README.md/a.cpp",
            "through the file README.md",
        ),
        (
            "mlx/fused/a.cpp",
            "MLX/fused/a.cpp",
            "differs from mlx only by case",
        ),
        ("mlx/fused/a.cpp", "tools", "is a folder"),
    ] {
        project.manifest(&manifest.replace(from, to));
        let error = compose_error(&project);
        assert!(error.to_string().contains(says), "{to}: {error}");
        assert_ne!(error.kind(), Kind::Bug);
    }
    // An overlay file where upstream has one is a conflict, not a replacement.
    project.manifest(&manifest.replace("mlx/fused/a.cpp", "mlx/ops.cpp"));
    assert_eq!(compose_error(&project).kind(), Kind::Conflict);
    project.manifest(
        &manifest
            .replace("name = \"fused\"", "name = \"fusion\"")
            .replace("[\"fused\"]", "[]"),
    );
    assert!(
        compose_error(&project)
            .to_string()
            .contains("Feature: fused")
    );
}
