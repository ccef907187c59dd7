//! Runs that were killed, runs under other people's settings, runs with nothing to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::source::{self, Choice, Request};
use mlx_fork::ui::Silent;

use crate::upstream::{Daemon, Project, Upstream, git, write};
use crate::{NO_NETWORK, check_clone, no_scratch_is_left, obtain, snapshot};

#[test]
fn what_is_there_already_is_served_at_once() {
    let up = Upstream::new();
    let project = Project::new(&up);
    obtain(
        &project,
        &project.request(NO_NETWORK, Choice::Path(up.repo())),
    )
    .unwrap();
    let before = snapshot(&project.mlx_local());
    let request = project.request(NO_NETWORK, Choice::Auto);
    let fastest = (0..10).map(|_| {
        let start = Instant::now();
        assert_eq!(obtain(&project, &request).unwrap().mirror, "mlx_local");
        start.elapsed()
    });
    let fastest = fastest.min().unwrap();
    eprintln!("served what was there in {fastest:?}");
    assert!(fastest < Duration::from_millis(10), "{fastest:?}");
    assert_eq!(snapshot(&project.mlx_local()), before);
}

#[test]
fn what_a_killed_run_left_does_not_stop_the_next() {
    let up = Upstream::new();
    let project = Project::new(&up);
    write(&project.mlx_local(), ".git.unfinished/objects/ab/half", "x");
    write(&project.layout.scratch(), "source-abc/git/HEAD", "x");
    let request = project.request(NO_NETWORK, Choice::Path(up.repo()));
    obtain(&project, &request).unwrap();
    check_clone(&project, "two", &up.commits[1]);
    assert!(no_scratch_is_left(&project));
    for left in [
        "objects/pack/pack_git2_0123",
        "shallow.mlx-fork",
        "config.lock",
        "refs/mlx-fork/pins/three.lock",
    ] {
        write(&project.mlx_local().join(".git"), left, "half");
    }
    let mut three = project.request("git://127.0.0.1:2/other", Choice::Path(up.repo()));
    three.pin = "three".into();
    obtain(&project, &three).unwrap();
    check_clone(&project, "three", &up.commits[2]);
    assert!(
        !project
            .mlx_local()
            .join(".git/objects/pack/pack_git2_0123")
            .exists()
    );
    // Objects and shallow written, the reference not: found there, not fetched again.
    fs::remove_file(project.mlx_local().join(".git/refs/mlx-fork/pins/three")).unwrap();
    three.choice = Choice::Git;
    assert_eq!(obtain(&project, &three).unwrap().mirror, "mlx_local");
}

/// Not a test of its own: the body of child processes of the tests below.
#[test]
#[ignore = "run by other tests as a child process"]
fn in_a_process_of_its_own() {
    let root = PathBuf::from(std::env::var_os("CHILD_ROOT").unwrap());
    let layout = Layout::at(&root, root.join("target/mlx"));
    let config = Config::load(&layout).unwrap();
    let request = Request {
        pin: config.pin.clone(),
        reference: None,
        url: std::env::var("CHILD_URL").unwrap(),
        choice: std::env::var("CHILD_CHOICE").unwrap().parse().unwrap(),
    };
    source::obtain(&layout, &config, &request, &Silent).unwrap();
}

/// `sh -c SCRIPT` with this test program as `"$@"`, set to run
/// [`in_a_process_of_its_own`].
fn child_of(script: &str, project: &Project, url: &str, choice: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "-"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "interrupted::in_a_process_of_its_own",
            "--ignored",
        ])
        .env("CHILD_ROOT", project.layout.root())
        .env("CHILD_URL", url)
        .env("CHILD_CHOICE", choice)
        .stdout(std::process::Stdio::null());
    command
}

#[test]
fn umask_home_locale_and_a_persons_git_settings_change_nothing() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        "template/hooks/post-checkout",
        "#!/bin/sh\nexit 1\n",
    );
    write(home.path(), "attributes", "* text eol=crlf\n");
    let settings = format!(
        "[core]\nautocrlf = true\nfileMode = false\nattributesFile = {0}/attributes\n\
         excludesFile = {0}/attributes\nhooksPath = {0}/template/hooks\n\
         [init]\ntemplateDir = {0}/template\ndefaultBranch = other\n\
         [fetch]\nprune = true\n[transfer]\nfsckObjects = true\n[safe]\nbareRepository = explicit\n",
        home.path().display()
    );
    write(home.path(), ".gitconfig", &settings);
    let folder = up.folder(1, "folder");
    let mut seen: Vec<BTreeMap<PathBuf, String>> = Vec::new();
    for (umask, locale) in [("022", "C"), ("077", "de_DE.UTF-8"), ("000", "tr_TR.UTF-8")] {
        for choice in ["git".to_string(), format!("path:{}", folder.display())] {
            let project = Project::new(&up);
            let script = format!("umask {umask}; exec \"$@\"");
            let mut command = child_of(&script, &project, &url, &choice);
            command
                .env("HOME", home.path())
                .env("LC_ALL", locale)
                .env("TZ", "Asia/Tokyo");
            command
                .env("GIT_DIR", "/nonexistent")
                .env("GIT_INDEX_FILE", "/nonexistent");
            assert!(command.status().unwrap().success(), "{umask} {choice}");
            check_clone(&project, "two", &up.commits[1]);
            let git_dir = project.mlx_local().join(".git");
            let files = ["config", "HEAD", "shallow", "refs/mlx-fork/pins/two"];
            let texts = files.map(|f| (f.into(), fs::read_to_string(git_dir.join(f)).unwrap()));
            assert!(!git_dir.join("hooks/post-checkout").exists());
            seen.push(texts.into());
        }
    }
    assert!(seen.iter().all(|files| *files == seen[0]), "{seen:#?}");
}

#[test]
fn a_run_killed_at_any_time_leaves_what_the_next_completes() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let folder = format!("path:{}", up.folder(1, "folder").display());
    for choice in ["git", &folder] {
        let mut finished = 0;
        let mut killed = 0;
        let mut wait = Duration::ZERO;
        while finished < 2 {
            let project = Project::new(&up);
            let mut child = child_of("exec \"$@\"", &project, &url, choice)
                .spawn()
                .unwrap();
            std::thread::sleep(wait);
            child.kill().unwrap();
            let done = child.wait().unwrap().success();
            finished += u32::from(done);
            killed += u32::from(!done);
            let reference = project.mlx_local().join(".git/refs/mlx-fork/pins/two");
            if reference.exists() {
                check_objects(&project, &up);
            }
            let request = project.request(&url, choice.parse().unwrap());
            obtain(&project, &request).unwrap();
            check_clone(&project, "two", &up.commits[1]);
            wait += Duration::from_millis(4) + wait / 6;
        }
        assert!(killed > 0, "no run was killed before its end");
    }
}

/// The reference is the proof: where it stands, everything is there.
fn check_objects(project: &Project, up: &Upstream) {
    let count = git(
        &project.mlx_local(),
        &["rev-list", "--objects", "refs/mlx-fork/pins/two"],
    );
    assert!(count.lines().count() > 8 && count.starts_with(&up.commits[1].0));
}
