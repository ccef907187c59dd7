//! A kill before every write of every operation: the next run finishes it or begins anew, and
//! ends where a run that nobody killed ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use git2::{Oid, Repository};
use mlx_fork::Result;
use mlx_fork::layout::Layout;
use mlx_fork::manager::plan::Plan;
use mlx_fork::manager::refresh::{self, Request};

use super::kills_trace::{self, Ended};
use super::sequences::{marks_on_disk, marks_under_references};
use super::sequences_operation::{bump, open, resume, run, session};
use super::sequences_world::{Tree, copy_of, local, project_files, world};
use super::synthetic::{BINDING, EXPORT, Project};
use super::{edit_local, resolve};

/// An operation, and what comes before it.
struct Scene {
    name: &'static str,
    prepare: fn(&Project),
    operate: fn(&Project) -> Result<()>,
}

const SCENES: &[Scene] = &[
    Scene {
        name: "refresh",
        prepare: edits,
        operate: take,
    },
    Scene {
        name: "edit",
        prepare: |_| {},
        operate: |project| open(project)?.edit("second").map(drop),
    },
    Scene {
        name: "refresh_of_an_edit",
        prepare: |project| {
            open(project).unwrap().edit("fused").unwrap();
            edit_local(project, EXPORT, "hook one\n", "hook one\n@m1@\n");
            commit(project);
        },
        operate: |project| refresh::refresh(&open(project)?, &Request::default()).map(drop),
    },
    Scene {
        name: "reorder",
        prepare: |_| {},
        operate: |project| {
            let order = ["moved", "fused", "second", "ends"]
                .map(String::from)
                .to_vec();
            run(project, Plan::Reorder { order })
        },
    },
    Scene {
        name: "drop",
        prepare: |_| {},
        operate: |project| {
            let features = vec!["ends".to_string()];
            run(project, Plan::Drop { features })
        },
    },
    Scene {
        name: "import",
        prepare: |_| {},
        operate: import,
    },
    Scene {
        name: "bump",
        prepare: |_| {},
        operate: |project| run(project, bump(project, "calm")),
    },
    Scene {
        name: "stop",
        prepare: |_| {},
        operate: |project| conflicting(run(project, bump(project, "next"))),
    },
    Scene {
        name: "refresh_that_stops",
        prepare: |project| {
            open(project).unwrap().edit("fused").unwrap();
            edit_local(project, BINDING, "binding line 15\n", "@m1@\n@m2@\n");
        },
        operate: |project| {
            let taken = refresh::refresh(&open(project)?, &Request::default());
            conflicting(taken.map(drop))
        },
    },
    Scene {
        name: "resume_to_the_next_stop",
        prepare: stopped_and_resolved,
        operate: |project| conflicting(resume(project)),
    },
    Scene {
        name: "resume",
        prepare: |project| {
            stopped_and_resolved(project);
            resume(project).unwrap_err();
            resolve(project, EXPORT, "@m7@\n");
            fs::write(project.local("mlx/old.txt"), "@m8@\n").unwrap();
        },
        operate: |project| resume(project),
    },
    Scene {
        name: "skip",
        prepare: stopped_and_resolved,
        operate: |project| conflicting(open(project)?.skip().map(drop)),
    },
    Scene {
        name: "abort",
        prepare: |project| {
            stopped_and_resolved(project);
            commit(project);
        },
        operate: |project| open(project)?.abort().map(drop),
    },
    Scene {
        name: "recovery",
        prepare: killed_half_way,
        operate: |project| open(project).map(drop),
    },
    Scene {
        name: "undo",
        prepare: |project| {
            edits(project);
            take(project).unwrap();
        },
        operate: |project| open(project)?.undo().map(drop),
    },
    Scene {
        name: "redo",
        prepare: |project| {
            edits(project);
            take(project).unwrap();
            open(project).unwrap().undo().unwrap();
        },
        operate: |project| open(project)?.redo().map(drop),
    },
];

/// Edits of upstream's files and of ours, a new file of each, a file deleted.
fn edits(project: &Project) {
    edit_local(
        project,
        EXPORT,
        "export line 20\n",
        "export line 20\n@m1@\n",
    );
    edit_local(project, "mlx/fused/a.cpp", "a line 3\n", "@m2@\n");
    fs::write(project.local("mlx/fused/new.cpp"), "int n; // @m3@\n").unwrap();
    fs::write(project.local("mlx/hook.txt"), "hook @m4@").unwrap();
    fs::remove_file(project.local("README.md")).unwrap();
    fs::write(project.local("mine.txt"), "@m5@\n").unwrap();
}

fn take(project: &Project) -> Result<()> {
    let source = "mlx_primitives/more/new.cpp".to_string();
    let request = Request {
        into: Some("ends".into()),
        own: [("mlx/fused/new.cpp".to_string(), source)].into(),
        hook: ["mlx/hook.txt".to_string()].into(),
        ..Request::default()
    };
    refresh::refresh(&open(project)?, &request).map(drop)
}

/// A refresh that was killed when it had written a part of the project.
fn killed_half_way(project: &Project) {
    edits(project);
    let before = project_files(&project.layout);
    let untouched = copy_of(project.layout.root());
    let scene = &SCENES[0];
    for kill in (0..).step_by(3) {
        let copy = copy_of(untouched.layout.root());
        let ended = child(&copy, scene, Some(kill));
        assert_eq!(ended, Ended::Killed, "no kill found it half way");
        let pending = copy.try_git(&["rev-parse", "--verify", "refs/mlx-fork/pending"]);
        if pending.status.success() && project_files(&copy.layout) != before {
            assert_eq!(child(project, scene, Some(kill)), Ended::Killed);
            return;
        }
    }
}

fn commit(project: &Project) {
    project.git(&["commit", "--quiet", "--all", "--message", "@m9@"]);
}

fn import(project: &Project) -> Result<()> {
    use super::sequences_operation::of_kind;
    use super::sequences_person::Person;
    of_kind(
        &mut Person::new(project, 3),
        super::sequences_operation::Kind::Import,
    )
    .run()
}

fn conflicting(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.what().contains("stopped at") => Ok(()),
        Ok(()) => panic!("it was to stop at a conflict"),
        other => other,
    }
}

/// A bump that waits at its first conflict, whose places a person resolved.
fn stopped_and_resolved(project: &Project) {
    conflicting(run(project, bump(project, "next"))).unwrap();
    resolve(project, "mlx/crlf.h", "@m7@\n");
    resolve(project, "mlx/ops.cpp", "@m7@\n");
}

/// Run as a child by the tests below, and killed.
#[test]
fn child_runs_one_operation() {
    let Ok(root) = std::env::var("MANAGER_KILL_ROOT") else {
        return;
    };
    let name = std::env::var("MANAGER_KILL_SCENE").unwrap();
    let scene = SCENES.iter().find(|scene| scene.name == name).unwrap();
    let project = Project {
        // Beside it, so that it goes with it when this is killed.
        dir: tempfile::tempdir_in(Path::new(&root).parent().unwrap()).unwrap(),
        layout: Layout::at(&root, format!("{root}/target/mlx")),
        base: Oid::ZERO_SHA1,
        next: Oid::ZERO_SHA1,
    };
    (scene.operate)(&project).unwrap();
}

/// What two runs have in common that end alike; ids of records depend on the time.
#[derive(Debug, PartialEq, Eq)]
struct State {
    files: Tree,
    local: Tree,
    references: [Option<Oid>; 3],
    staged: Vec<(Vec<u8>, Oid, u32)>,
    session: Option<String>,
    log: Vec<String>,
}

impl State {
    fn of(project: &Project) -> Self {
        let repo = Repository::open(project.layout.mlx_local()).unwrap();
        let log = mlx_fork::manager::journal::log(&repo, 99).unwrap();
        State {
            files: project_files(&project.layout),
            local: local(&project.layout),
            references: ["HEAD", "refs/heads/fork", "refs/mlx-fork/fork"]
                .map(|name| repo.refname_to_id(name).ok()),
            staged: repo
                .index()
                .unwrap()
                .iter()
                .map(|e| (e.path, e.id, e.mode))
                .collect(),
            session: session(project).map(|session| session.describe()),
            log: log.into_iter().map(|row| row.what).collect(),
        }
    }
}

fn marks(project: &Project) -> BTreeSet<String> {
    let mut found = marks_on_disk(&project_files(&project.layout), &local(&project.layout));
    marks_under_references(project, &mut found);
    found
}

fn child(project: &Project, scene: &Scene, kill: Option<usize>) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "kills::child_runs_one_operation", "--nocapture"])
        .env("MANAGER_KILL_ROOT", project.layout.root())
        .env("MANAGER_KILL_SCENE", scene.name)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    kills_trace::run(&mut command, project.layout.root(), kill)
}

/// Kills the operation before every so many of its writes, and lets the next run do the rest.
fn killed(name: &str, step: usize) {
    let scene = SCENES.iter().find(|scene| scene.name == name).unwrap();
    let prepared = world();
    (scene.prepare)(&prepared);
    let whole = copy_of(prepared.layout.root());
    let Ended::ByItself { status: 0, writes } = child(&whole, scene, None) else {
        panic!("{name} fails where nobody kills it");
    };
    assert!(writes > 20, "{name} made {writes} writes only");
    let (before, after) = (State::of(&prepared), State::of(&whole));
    assert_ne!(before, after);
    let edits = marks(&prepared);
    let kills: Vec<usize> = (0..writes).rev().step_by(step).collect();
    let next = AtomicUsize::new(0);
    let begun = Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(&kill) = kills.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    let project = copy_of(prepared.layout.root());
                    // The times of records are in it, so that a run may do with one write less.
                    let ended = child(&project, scene, Some(kill));
                    let finished = recovered(&project, scene, (&before, &after), &edits, kill);
                    assert!(
                        ended == Ended::Killed || finished,
                        "{name} {kill}: {ended:?}"
                    );
                    let mut begun = begun.lock().unwrap();
                    match finished {
                        true => begun.1 += 1,
                        false => begun.0 += 1,
                    }
                }
            });
        }
    });
    let (anew, finished) = begun.into_inner().unwrap();
    assert_eq!(anew + finished, kills.len());
    println!(
        "{name}: {writes} writes, {} kills; {anew} begun anew, {finished} finished by the next run",
        kills.len()
    );
    assert!(finished > 0, "{name} was never finished");
    assert_eq!(anew > 0, name != "recovery", "{name}: {anew} begun anew");
}

/// The run after a kill; true where it found the operation finished or finished it.
fn recovered(
    project: &Project,
    scene: &Scene,
    (before, after): (&State, &State),
    edits: &BTreeSet<String>,
    kill: usize,
) -> bool {
    let name = scene.name;
    let find = |when: &str| {
        let found = marks(project);
        let lost: Vec<&String> = edits.difference(&found).collect();
        assert!(
            lost.is_empty(),
            "{name}, killed at {kill}, {when}: lost {lost:?}"
        );
    };
    find("right then");
    drop(open(project).unwrap_or_else(|e| panic!("{name}, killed at {kill}: {e}")));
    find("after the next run");
    let now = State::of(project);
    let finished = now == *after;
    if !finished {
        assert_eq!(
            now, *before,
            "{name}, killed at {kill}: neither before nor after"
        );
        let again = (scene.operate)(project);
        again.unwrap_or_else(|e| panic!("{name}, killed at {kill}, once more: {e}"));
        assert_eq!(
            State::of(project),
            *after,
            "{name}, killed at {kill}, once more"
        );
        find("once more");
    }
    finished
}

#[test]
fn operations_that_are_killed_at_some_writes_are_finished_or_begun_anew() {
    for scene in SCENES {
        killed(scene.name, 23);
    }
}

#[test]
#[ignore = "minutes; cargo xtask test --full runs it"]
fn operations_that_are_killed_at_any_write_are_finished_or_begun_anew() {
    for scene in SCENES {
        killed(scene.name, 1);
    }
}
