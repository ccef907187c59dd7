//! The whole command, `xtask setup-mlx`: the real program with the real git, cmake, ninja and
//! compiler on a small upstream; in real.rs, on MLX itself. What one part does in depth is in
//! the tests of that part (source, series, edits, build_steps).

#[path = "../common/cmake_upstream.rs"]
mod cmake_upstream;
#[path = "../common/git_upstream.rs"]
mod git_upstream;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/series_upstream.rs"]
mod series_upstream;

mod edits;
mod interrupted;
mod mirrors;
mod project;
mod real;

use project::{NONE, Project, Ran, compiled, done, fork_id, times};

#[test]
fn the_first_run_sets_up_and_the_second_does_nothing() {
    let project = Project::new();
    let first = project.setup(&[]).succeeded();
    assert_eq!(first["pin"], "one");
    assert_eq!(first["commit"], *project.pin.0);
    assert_eq!(
        first["mirror"],
        format!("path {}", project.upstream().display())
    );
    assert_eq!(first["ported"], false);
    assert_eq!(first["features"].as_array().unwrap().len(), 2);
    assert_eq!(compiled(&first, "stock"), (0, 3));
    assert_eq!(compiled(&first, "fork"), (2, 1));
    let id = fork_id(&first);
    project.assert_clean(&id);
    // The builds say what they are, and only the fork has what is ours.
    let has = |side: &str, library: &str, text: &str| {
        let library = format!(
            "lib/{}{library}{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        );
        let bytes = std::fs::read(project.layout.prefix(side).join(library)).unwrap();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("fork", "mlx", &id) && !has("stock", "mlx", &id));
    assert!(has("fork", "mlx_fork_c", &id) && has("stock", "mlx_fork_c", &project.pin.0));

    let folders = ["stock", "fork", "src", "stamps"];
    let mut watched: Vec<_> = folders
        .map(|name| project.layout.target().join(name))
        .into();
    watched.extend(["mlx_local", "sys", "patches"].map(|name| project.layout.root().join(name)));
    let before = times(&watched);
    let second = project.setup(&[]).succeeded();
    assert_eq!(done(&second), NONE);
    assert_eq!(fork_id(&second), id);
    assert_eq!(compiled(&second, "fork"), (0, 0));
    assert_eq!(times(&watched), before);
    let said = Ran::of(project.setup_command(&[]).env("NO_COLOR", "1"));
    assert_eq!(said.code, Some(0));
}

#[test]
fn without_json_a_table_says_what_was_set_up_and_that_nothing_is_left_to_do() {
    let project = Project::built();
    let args: Vec<_> = project.arguments();
    let args: Vec<_> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| *arg != "--json")
        .collect();
    let ran = Ran::of(&mut project.xtask(&args));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let id = project.git(&["rev-parse", "fork"]);
    for part in [
        &*id,
        &*project.pin.0,
        "swiglu",
        "up to date",
        "nothing to do",
    ] {
        assert!(ran.out.contains(part), "no {part} in {}", ran.out);
    }
    assert!(
        !ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'),
        "{ran:?}"
    );
}

#[test]
fn after_an_edit_of_the_overlay_the_build_is_not_used_until_only_what_depends_on_it_is_rebuilt() {
    let project = Project::built();
    let old = project.git(&["rev-parse", "fork"]);
    let stock = [project.layout.prefix("stock")];
    let before = times(&stock);
    project.edit("int more() { return 2; }\n");
    for args in [
        &["env"][..],
        &["python", "-c", ""],
        &["probe"],
        &["probe", "--side", "fork"],
    ] {
        Ran::of(&mut project.xtask(args)).failed(
            5,
            &[
                "the overlay or the series has changed",
                "cargo xtask setup-mlx",
            ],
        );
    }
    // What was edited is no part of stock.
    let ran = Ran::of(&mut project.xtask(&["env", "--stock"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);

    let summary = project.setup(&[]).succeeded();
    assert_eq!(done(&summary), ["series", "fork", "C API"]);
    // The source, and the one that carries the fork's id.
    assert_eq!(compiled(&summary, "fork"), (2, 0));
    assert_eq!(compiled(&summary, "stock"), (0, 0));
    assert_eq!(times(&stock), before);
    assert_ne!(fork_id(&summary), old);
    let ran = Ran::of(&mut project.xtask(&["env"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);

    // Something that no build depends on.
    std::fs::write(project.layout.root().join("README.md"), "new\n").unwrap();
    assert_eq!(done(&project.setup(&[]).succeeded()), NONE);
}
