//! A kill at any instant, and what it leaves behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mlx_fork::git::checkout;
use mlx_fork::series;

use crate::synthetic::{Project, holds, shows};
use crate::{assert_shows, next_version};

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
            .args([
                "--exact",
                "kills::child_composes_and_checks_out",
                "--nocapture",
            ])
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
