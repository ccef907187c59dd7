//! Each state of a patch, the commits that break and heal it, and what the answer looks like.

use std::path::Path;
use std::process::Command;

use mlx_fork::Kind;
use mlx_fork::config::Config;
use mlx_fork::git::compose;
use mlx_fork::layout::Layout;
use mlx_fork::series;
use mlx_fork::series::resolutions::Resolution;
use mlx_fork::ui::Silent;
use mlx_fork::upstream::drift::State::{
    AlreadyUpstream, Applies, AppliesAfterPort, Conflicts, Lost,
};
use mlx_fork::upstream::drift::{self, Commits, Wanted, What};

use crate::machine;
use crate::upstream::{CMAKE, EXPORT, OPS, World, git};

#[test]
fn the_commit_that_breaks_a_patch_is_named_and_the_one_that_heals_it() {
    let mut world = World::new();
    world.write("README.md", "other\n");
    world.commit("elsewhere", "Something else (#2)");
    world.edit(OPS, "   abs\n", "   abs\n   acos\n");
    world.commit("above", "Add a row above (#3)");
    world.edit(CMAKE, "endif()\ninstall()", "endif()\nexport()\ninstall()");
    world.commit("breaks", "Export it (#4)");
    world.write("README.md", "again\n");
    world.commit("between", "Something else (#5)");
    world.edit(CMAKE, "export()\n", "");
    world.commit("heals", "Revert: export it (#6)");

    let (one, two) = world.states();
    assert_eq!(one, [Applies; 5]);
    let ported = AppliesAfterPort;
    assert_eq!(two, [Applies, ported, Conflicts, Conflicts, ported]);

    let report = world.drift(&["pin..main"]);
    assert!(report.patches[0].breaks.is_empty());
    let [broken] = report.patches[1].breaks.as_slice() else {
        panic!("{:?}", report.patches[1].breaks);
    };
    let (by, healed) = (broken.by.as_ref().unwrap(), broken.healed.as_ref().unwrap());
    assert_eq!(by.id, world.ids["breaks"]);
    assert_eq!((by.date.as_str(), by.pull_request), ("2026-03-05", Some(4)));
    assert_eq!(by.subject, "Export it (#4)");
    assert_eq!((&healed.id, broken.commits), (&world.ids["heals"], 2));
    let [detail] = broken.details.as_slice() else {
        panic!("{:?}", broken.details);
    };
    assert_eq!((detail.path.as_str(), detail.what), (CMAKE, What::Conflict));
    assert_eq!(detail.lines, ["  none()", "endif()", "install()"]);
    assert!(
        detail.now.starts_with("its context is changed"),
        "{}",
        detail.now
    );
}

#[test]
fn a_range_that_begins_broken_says_so() {
    let mut world = World::new();
    world.edit(EXPORT, "  two();\n", "  2;\n");
    world.commit("breaks", "Break");
    world.commit("next", "Next");
    world.edit(EXPORT, "  2;\n", "  two();\n");
    world.commit("heals", "Heal");
    let report = world.drift(&["main~2..main"]);
    let broken = &report.patches[0].breaks[0];
    assert!(broken.by.is_none());
    assert_eq!(broken.healed.as_ref().unwrap().id, world.ids["heals"]);
    assert_eq!(broken.commits, 1);
}

#[test]
fn what_upstream_has_taken_is_told_from_a_conflict() {
    let mut world = World::new();
    world.edit(EXPORT, "  two();\n", "  two();\n  hook();\n");
    world.commit("taken", "Take the hook as it is");
    world.edit(
        EXPORT,
        "  two();\n  hook();\n  three();\n",
        "  2;\n  hook();\n  3;\n",
    );
    world.commit("moved", "Change the lines around it");
    world.edit(
        CMAKE,
        "  none()\nendif()\n",
        "  none()\nendif()\nadd_subdirectory(own)\n",
    );
    world.commit("half", "Take a half of the second patch");
    world.edit(OPS, "   log\n", "   gather_own\n   log\n");
    world.commit("whole", "Take the other half, at another place");
    let (one, two) = world.states();
    assert_eq!(one, [AlreadyUpstream; 4]);
    assert_eq!(two[..2], [Applies, Applies]);
    assert_ne!(two[2], AlreadyUpstream);
    assert_eq!(two[3], AlreadyUpstream);
    let report = world.drift(&["main~1"]);
    let details = &report.patches[1].runs[0].details;
    let of_cmake = details.iter().find(|detail| detail.path == CMAKE).unwrap();
    assert_eq!(of_cmake.what, What::InUpstream);
}

#[test]
fn a_hook_that_lands_in_another_function_is_lost_and_says_where_it_is() {
    let mut world = World::new();
    // The lines around the hook stay as they are; another function begins above them.
    world.edit(
        EXPORT,
        "void first() {\n",
        "void first() {\n}\n\nvoid other() {\n",
    );
    world.commit("moves", "Split a function (#7)");
    let (one, _) = world.states();
    assert_eq!(one, [Lost]);
    let report = world.drift(&["pin..main"]);
    let broken = &report.patches[0].breaks[0];
    assert_eq!(broken.by.as_ref().unwrap().pull_request, Some(7));
    let detail = &broken.details[0];
    assert_eq!(detail.what, What::Misplaced);
    assert_eq!(
        detail.now,
        "it is at line 12 in `namespace mlx > other()`, and was in `namespace mlx > first()`"
    );
}

#[test]
fn a_patch_stands_on_those_before_it() {
    let mut world = World::new();
    // The second patch changes the line that the first one adds.
    let text = std::fs::read_to_string(world.up().join(EXPORT)).unwrap();
    world.edit(EXPORT, "  two();\n", "  two();\n  hook();\n");
    git(&world.up(), &["commit", "-qam", "scratch"]);
    world.hooks(
        "0002-two.patch",
        "two",
        &[(EXPORT, "  hook();\n", "  hook(1);\n")],
    );
    git(&world.up(), &["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!(
        std::fs::read_to_string(world.up().join(EXPORT)).unwrap(),
        text
    );
    world.edit(
        EXPORT,
        "#include \"mlx/types.h\"\n",
        "#include \"mlx/types.h\"\n#include <map>\n",
    );
    world.commit("shifts", "Include a header");
    let (one, two) = world.states();
    assert_eq!((one, two), (vec![AppliesAfterPort], vec![AppliesAfterPort]));
}

#[test]
fn a_renamed_file_is_followed_and_one_that_is_gone_or_taken_is_a_conflict() {
    let mut world = World::new();
    std::fs::create_dir_all(world.up().join("src")).unwrap();
    git(&world.up(), &["mv", EXPORT, "src/export.cpp"]);
    world.commit("renames", "Rename a file");
    world.edit("src/export.cpp", "  two();\n", "  2;\n");
    world.commit("breaks", "Change a line of the renamed file");
    git(&world.up(), &["rm", "-q", "src/export.cpp"]);
    world.commit("deletes", "Delete it");
    git(
        &world.up(),
        &["checkout", "-q", &world.ids["pin"], "--", EXPORT],
    );
    world.write("mlx/own/a.cpp", "int other;\n");
    world.commit("takes", "Take a name");
    world.write("mlx/own/a.cpp", "int own;\n");
    world.commit("same", "Take the file itself");
    git(&world.up(), &["rm", "-q", "mlx/own/a.cpp"]);
    world.write("MLX/x", "a folder's name in other letters\n");
    git(&world.up(), &["rm", "-rqf", "mlx"]);
    world.commit("case", "Write it large");
    let (one, _) = world.states();
    assert_eq!(one[0], AppliesAfterPort);
    assert_eq!(one[1..], [Conflicts; 5]);
    let detail = |at: usize| {
        let report = world.drift(&[&format!("main~{at}")]);
        report.patches[0].runs[0].details[0].clone()
    };
    let now = |at: usize| detail(at).now;
    assert_eq!(detail(4).path, "src/export.cpp");
    assert_eq!(now(3), "the file isn't there any more");
    assert_eq!(now(2), "upstream has a file of that name");
    assert_eq!(now(0), "differs from MLX only by case");
}

#[test]
fn drift_says_of_a_commit_what_compose_does_there() {
    let mut world = World::new();
    world.edit(
        EXPORT,
        "#include \"mlx/types.h\"\n",
        "#include \"mlx/types.h\"\n#include <map>\n",
    );
    world.commit("fits", "Shift");
    std::fs::create_dir_all(world.up().join("src")).unwrap();
    git(&world.up(), &["mv", EXPORT, "src/export.cpp"]);
    world.commit("renamed", "Rename");
    world.edit("src/export.cpp", "  three();\n", "  3;\n");
    world.commit("conflicts", "Beside the hook");
    let names = ["before", "pin", "fits", "renamed", "conflicts"];
    world.local(&names);
    git(
        &world.layout.mlx_local(),
        &["update-ref", "refs/mlx-fork/pins/pin", &world.ids["pin"]],
    );
    let fits = |name: &str| {
        let series = series::load(&world.layout).unwrap();
        let composed = compose::compose(&world.layout, &series, &world.ids[name]);
        let report = world.drift(&[&world.ids[name]]);
        let mut states = report.patches.iter().map(|patch| patch.states[0]);
        let fits = states.all(|state| !state.is_broken());
        assert_eq!(composed.is_ok(), fits, "{name}: {composed:?}");
        fits
    };
    assert_eq!(names.map(fits), [true, true, true, true, false]);

    // A kept answer is given again.
    let answer = Resolution {
        path: EXPORT.into(),
        upstream: "  3;\n".into(),
        base: "  three();\n".into(),
        patch: "  hook();\n  three();\n".into(),
        resolved: "  hook();\n  3;\n".into(),
    };
    let folder = world.layout.resolutions();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(answer.name()), answer.render().unwrap()).unwrap();
    assert!(fits("conflicts"));
}

#[test]
fn nothing_is_written_anywhere() {
    let mut world = World::new();
    world.edit(OPS, "   abs\n", "   abs\n   acos\n");
    world.commit("next", "Next");
    world.local(&["pin"]);
    let before = files(world.up().parent().unwrap());
    world.drift(&["pin..main"]);
    world.drift(&[]);
    assert_eq!(files(world.up().parent().unwrap()), before);
}

fn files(folder: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut all = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        all.push((path.clone(), meta.modified().unwrap()));
        if meta.is_dir() {
            all.extend(files(&path));
        }
    }
    all.sort();
    all
}

#[test]
fn names_of_every_kind_are_found_and_what_needs_history_says_so() {
    let mut world = World::new();
    world.commit("next", "Next");
    git(&world.up(), &["tag", "-a", "v1", "-m", "v1", "HEAD~1"]);
    git(
        &world.up(),
        &["update-ref", "refs/remotes/origin/side", "HEAD"],
    );
    let short = &world.ids["next"][..9];
    let found = world
        .find(&["pin", "v1", "main", "side", short, "main~2"])
        .unwrap();
    let ids: Vec<&str> = found
        .points
        .iter()
        .map(|p| p.upstream.id.as_str())
        .collect();
    let [before, pin, next] = ["before", "pin", "next"].map(|n| world.ids[n].as_str());
    assert_eq!(ids, [pin, pin, next, next, next, before]);
    assert_eq!(found.points[0].name.as_deref(), Some("pin"));

    for (names, says) in [
        (vec!["nothing"], "a commit nothing is not in"),
        (vec!["main..pin"], "is no ancestor of"),
        (vec!["main..main"], "there is no commit in"),
        (vec!["pin..main", "v1"], "pin..main is one of several names"),
        (vec!["pin...main"], "pin...main is no range"),
        (vec!["pin.."], "pin.. is no range"),
        (vec!["..main"], "..main is no range"),
        (vec!["-x"], "is no pin, tag, branch or commit"),
    ] {
        let error = world.find(&names).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(says), "{names:?}: {error}");
    }

    world.local(&["pin", "next"]);
    let config = Config::load(&world.layout).unwrap();
    let series = series::load(&world.layout).unwrap();
    let local = |names: &[&str]| {
        let wanted = Wanted {
            names: names.iter().map(|name| name.to_string()).collect(),
            history: None,
        };
        Commits::find(&world.layout, &config, &series, &wanted)
    };
    let range = format!("pin..{}", world.ids["next"]);
    for names in [&["main"][..], &[range.as_str()]] {
        let error = local(names).unwrap_err();
        let hints = error.hints().join("\n");
        assert!(hints.contains("--history PATH|URL"), "{error}: {hints}");
        assert_eq!(error.kind(), Kind::Usage);
    }
    // Without names: the pins that are at hand, and the names of the others.
    let pins = local(&[]).unwrap();
    assert_eq!(pins.points.len(), 1);
    assert_eq!(pins.absent, ["before"]);
}

#[test]
fn the_json_has_its_fields() {
    let mut world = World::new();
    world.edit(EXPORT, "  two();\n", "  2;\n");
    world.commit("breaks", "Break (#8)");
    let report = serde_json::to_value(world.drift(&["before..main"])).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        keys(&report),
        ["absent", "base", "commits", "is_range", "patches"]
    );
    let patch = &report["patches"][0];
    assert_eq!(
        keys(patch),
        ["breaks", "feature", "patch", "runs", "states"]
    );
    assert_eq!(patch["states"], serde_json::json!(["applies", "conflicts"]));
    assert_eq!(
        keys(&patch["runs"][1]),
        ["commits", "details", "first", "last", "state"]
    );
    let broken = &patch["breaks"][0];
    assert_eq!(broken["by"]["pull_request"], 8);
    assert_eq!(
        keys(&broken["by"]),
        ["date", "id", "pull_request", "subject"]
    );
    assert_eq!(
        keys(&broken["details"][0]),
        ["hunk", "lines", "now", "path", "what"]
    );
    assert_eq!(
        keys(&report["commits"][0]),
        ["date", "id", "name", "pull_request", "subject"]
    );
}

/// The project's own series on the pins that its mlx_local has.
#[test]
fn the_real_series_applies_to_its_pin_without_network() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let layout = Layout::at(root, root.join("target/mlx"));
    if !layout.mlx_local().join(".git").exists() {
        eprintln!("skipped: no mlx_local; `cargo xtask setup-mlx` makes it");
        return;
    }
    let config = Config::load(&layout).unwrap();
    let series = series::load(&layout).unwrap();
    let commits = Commits::find(&layout, &config, &series, &Wanted::default()).unwrap();
    let report = drift::drift(&series, &commits, None, &Silent).unwrap();
    let at = |name: &str| {
        let named = |p: &drift::Point| p.name.as_deref() == Some(name);
        report.commits.iter().position(named)
    };
    let base = at(&series.base).unwrap();
    for patch in &report.patches {
        assert_eq!(patch.states[base], Applies, "{}", patch.patch);
        assert!(
            patch.states.iter().all(|state| !state.is_broken()),
            "{patch:?}"
        );
    }
}

#[test]
fn the_command_prints_a_row_a_run_and_the_commit_that_breaks() {
    let mut world = World::new();
    world.edit(EXPORT, "  two();\n", "  2;\n");
    world.commit("breaks", "Break (#8)");
    world.commit("next", "Next (#9)");
    let run = |args: &[&str]| {
        let mut all = vec!["drift", "--history", "../up"];
        all.extend(args);
        Command::new(machine::xtask())
            .args(all)
            .current_dir(world.layout.root())
            .env_remove("MLX_FORK_ROOT")
            .env_remove("MLX_FORK_TARGET")
            .output()
            .unwrap()
    };
    let output = run(&["before..main"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(text.starts_with("3 commits, "), "{text}");
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = text.lines().map(words).collect();
    let row = rows
        .iter()
        .find(|row| row.get(1).is_some_and(|w| w == "conflicts"))
        .unwrap();
    assert_eq!((row[0].as_str(), row[2].as_str()), ("0001-one.patch", "2"));
    let id = &world.ids["breaks"][..9];
    assert!(
        text.contains(&format!(
            "0001-one.patch: first broken by {id} 2026-03-03 Break (#8)\n"
        )),
        "{text}"
    );
    assert!(
        text.contains("for 2 commits, to the end of the range"),
        "{text}"
    );
    assert!(
        text.contains("0002-two.patch: no commit breaks it"),
        "{text}"
    );

    let output = run(&["before", "main", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["commits"][1]["name"], "main");
    assert_eq!(json["is_range"], false);

    let output = run(&["../nowhere..main"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
