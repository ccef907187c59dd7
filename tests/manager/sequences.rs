//! Random sequences of operations with a person's edits in between: the series always loads
//! and applies, nothing that a person made is lost, an error leaves the project as it was,
//! and undo undoes.
//!
//! A failure names its seed; `MLX_FORK_TEST_SEED=…` runs that sequence alone.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use git2::{ObjectType, Oid, Repository};
use mlx_fork::Result;
use mlx_fork::manager::session::Session;

use super::sequences_operation::{self as operation, KINDS, Kind, Operation};
use super::sequences_person::{Marks, Person};
use super::sequences_world::{Tree, compose, local, project_files, world};
use super::synthetic::Project;

#[test]
fn a_hundred_random_sequences_lose_nothing_and_can_be_undone() {
    sequences(1..101);
}

#[test]
#[ignore = "minutes; cargo xtask test --full runs it"]
fn a_thousand_random_sequences_lose_nothing_and_can_be_undone() {
    sequences(1..1001);
}

/// How often each kind of operation came to its end.
type Counts = BTreeMap<Kind, usize>;

fn sequences(seeds: std::ops::Range<u64>) {
    if let Ok(seed) = std::env::var("MLX_FORK_TEST_SEED") {
        let seed = seed.parse().expect("MLX_FORK_TEST_SEED is a number");
        sequence(seed, &mut Counts::new(), &mut Vec::new());
        return;
    }
    let next = AtomicU64::new(seeds.start);
    let counts = Mutex::new(Counts::new());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failures.lock().unwrap().len() >= 5 {
                        return;
                    }
                    let (mut count, mut steps) = (Counts::new(), Vec::new());
                    let ran = AssertUnwindSafe(|| sequence(seed, &mut count, &mut steps));
                    if let Err(panic) = catch_unwind(ran) {
                        let steps = steps.join("\n    ");
                        let what = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                        let text = format!("seed {seed} after\n    {steps}\n{what}");
                        failures.lock().unwrap().push(text);
                    }
                    let mut counts = counts.lock().unwrap();
                    for (kind, number) in count {
                        *counts.entry(kind).or_default() += number;
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let counts = counts.into_inner().unwrap();
    println!("{counts:?}");
    // Sequences that only see refusals would show nothing.
    for kind in KINDS {
        let least = if seeds.end > 500 { 30 } else { 2 };
        assert!(
            counts.get(&kind) >= Some(&least),
            "{kind:?} came to its end too rarely: {counts:?}"
        );
    }
}

fn sequence(seed: u64, counts: &mut Counts, steps: &mut Vec<String>) {
    let project = world();
    let mut person = Person::new(&project, seed);
    let mut alive = BTreeSet::new();
    for _ in 0..6 + person.random.below(7) {
        let stopped = matches!(operation::session(&project), Some(Session::Stopped(_)));
        if stopped && person.random.chance(90) {
            steps.push(person.resolve());
        }
        let acts = if stopped { 10 } else { 50 };
        for _ in 0..2 {
            if person.random.chance(acts) {
                steps.push(person.act());
            }
        }
        let mut state = State::of(&project);
        // What a person wrote over is theirs to lose.
        alive = known(&project, &state);
        let next = operation::next(&mut person);
        if next.kind.needs_a_clean_checkout() && person.random.chance(60) {
            let keep = operation::of_kind(&mut person, Kind::Keep);
            if one(&person, &state, &keep, &alive, steps) {
                *counts.entry(Kind::Keep).or_default() += 1;
            }
            state = State::of(&project);
        }
        let done = one(&person, &state, &next, &alive, steps);
        if done {
            *counts.entry(next.kind).or_default() += 1;
        }
        if done && next.kind.is_planned() && !stopped && person.random.chance(40) {
            there_and_back(&mut person, &state, counts, steps);
        }
    }
    if person.random.chance(30) && project_is_in_step(&project) {
        steps.push("drop and import of the last feature".into());
        let done = operation::drop_and_import_the_last(&project);
        assert_kind(&done);
        assert_kept(&project, &alive);
    }
}

/// What a test compares.
struct State {
    files: Tree,
    local: Tree,
    composes: bool,
    session: Option<Oid>,
    shown: Option<Oid>,
}

impl State {
    fn of(project: &Project) -> Self {
        let repo = Repository::open(project.layout.mlx_local()).unwrap();
        State {
            files: project_files(&project.layout),
            local: local(&project.layout),
            composes: compose(&project.layout).is_ok(),
            session: repo.refname_to_id("refs/mlx-fork/session").ok(),
            shown: repo.refname_to_id("refs/mlx-fork/fork").ok(),
        }
    }
}

/// Runs one operation and looks at what it did; true where it came to its end.
fn one(
    person: &Person<'_>,
    before: &State,
    operation: &Operation<'_>,
    alive: &BTreeSet<String>,
    steps: &mut Vec<String>,
) -> bool {
    let project = person.project;
    steps.push(operation.what.clone());
    let done = operation.run();
    if let Err(error) = &done {
        steps.push(format!("    -> {error}"));
    }
    assert_kind(&done);
    let after = State::of(project);
    let repo = Repository::open(project.layout.mlx_local()).unwrap();
    assert!(
        repo.refname_to_id("refs/mlx-fork/pending").is_err(),
        "left pending"
    );
    if done.is_err() {
        assert_same(&before.files, &after.files, "an error changed the project");
        if (before.session, before.shown) == (after.session, after.shown) {
            assert_same(&before.local, &after.local, "an error changed mlx_local");
        }
    }
    let excused =
        !before.composes || person.by_hand && matches!(operation.kind, Kind::Undo | Kind::Redo);
    assert!(
        after.composes || excused,
        "the series doesn't compose: {:?}",
        compose(&project.layout)
    );
    if done.is_ok() && operation.kind.is_planned() && after.shown != before.shown {
        let fork = compose(&project.layout).unwrap();
        assert_eq!(
            after.shown.unwrap().to_string(),
            fork.id,
            "another fork is shown"
        );
        assert_eq!(repo.head().unwrap().target(), after.shown);
        operation::export_and_import(project).unwrap();
    }
    assert_kept(project, alive);
    done.is_ok()
}

/// Undoes what was just done, and does it again: each brings back what was.
fn there_and_back(
    person: &mut Person<'_>,
    before: &State,
    counts: &mut Counts,
    steps: &mut Vec<String>,
) {
    let project = person.project;
    let after = State::of(project);
    if after.shown == before.shown && after.files == before.files {
        return;
    }
    let alive = known(project, &after);
    for (kind, to) in [
        (Kind::Undo, before),
        (Kind::Redo, &after),
        (Kind::Undo, before),
    ] {
        let now = State::of(project);
        let undo = operation::of_kind(person, kind);
        let done = one(person, &now, &undo, &alive, steps);
        assert!(done, "{kind:?} right after it");
        *counts.entry(kind).or_default() += 1;
        let now = State::of(project);
        assert_same(&to.files, &now.files, "the project after it");
        assert_same(&to.local, &now.local, "mlx_local after it");
        assert_eq!(to.session, now.session, "the session after it");
        if kind == Kind::Redo && person.random.chance(50) {
            return;
        }
    }
}

fn assert_kind(done: &Result<()>) {
    use mlx_fork::Kind::{Conflict, Usage};
    if let Err(error) = done {
        assert!(
            matches!(error.kind(), Usage | Conflict),
            "{:?}: {error}",
            error.kind()
        );
    }
}

fn assert_same(before: &Tree, after: &Tree, what: &str) {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ: Vec<String> = paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| {
            let text = |tree: &Tree| {
                tree.get(path)
                    .map(|(c, mode)| (format!("{mode:o}"), String::from_utf8_lossy(c).into_owned()))
            };
            format!("{path}: {:?} became {:?}", text(before), text(after))
        })
        .collect();
    assert!(differ.is_empty(), "{what}: {differ:#?}");
}

fn project_is_in_step(project: &Project) -> bool {
    let manager = operation::open(project).unwrap();
    let clean = manager.clean();
    clean.is_ok_and(|at| {
        compose(&project.layout).is_ok_and(|fork| fork.id == at.state.shown.to_string())
    })
}

/// The marks that a person can find again: on disk, staged, or under a reference.
fn known(project: &Project, state: &State) -> BTreeSet<String> {
    let mut found = marks_on_disk(&state.files, &state.local);
    marks_under_references(project, &mut found);
    found
}

/// The marks in some files.
pub fn marks_on_disk(files: &Tree, local: &Tree) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (content, _) in files.values().chain(local.values()) {
        Marks::of(content, &mut found);
    }
    found
}

fn assert_kept(project: &Project, alive: &BTreeSet<String>) {
    let mut found = marks_on_disk(&project_files(&project.layout), &local(&project.layout));
    if found.is_superset(alive) {
        return;
    }
    marks_under_references(project, &mut found);
    let lost: Vec<&String> = alive.difference(&found).collect();
    assert!(lost.is_empty(), "edits are lost: {lost:?}");
}

/// The marks in what is staged, and in everything that a reference leads to.
pub fn marks_under_references(project: &Project, found: &mut BTreeSet<String>) {
    let repo = Repository::open(project.layout.mlx_local()).unwrap();
    let mut open: Vec<Oid> = repo.index().unwrap().iter().map(|entry| entry.id).collect();
    open.extend(repo.head().ok().and_then(|head| head.target()));
    for reference in repo.references().unwrap() {
        open.extend(reference.unwrap().target());
    }
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let object = repo.find_object(id, None).unwrap();
        match object.kind() {
            Some(ObjectType::Commit) => {
                let commit = object.as_commit().unwrap();
                Marks::of(commit.message_bytes(), found);
                open.push(commit.tree_id());
                open.extend(commit.parent_ids());
            }
            Some(ObjectType::Tree) => open.extend(object.as_tree().unwrap().iter().map(|e| e.id())),
            Some(ObjectType::Blob) => Marks::of(object.as_blob().unwrap().content(), found),
            _ => {}
        }
    }
}
