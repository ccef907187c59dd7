//! A person's edits in `mlx_local` before a run that would change the checkout.

use std::fs;

use crate::project::{NONE, Project, Ran, compiled, differing, fork_id, times};
use crate::series_upstream::EXPORT;

/// What a person does, the file that a run must name, and the text that must come back.
type Edit = (&'static str, fn(&Project), &'static str, &'static str);

const EDITS: [Edit; 6] = [
    ("modified", |p| mine(p, EXPORT), EXPORT, "mine\n"),
    (
        "added where the fork wants a file",
        |p| mine(p, "mlx/fused/new.h"),
        "mlx/fused/new.h",
        "mine\n",
    ),
    (
        "deleted",
        |p| fs::remove_file(p.local("mlx/fused/swiglu.cpp")).unwrap(),
        "mlx/fused/swiglu.cpp",
        "",
    ),
    (
        "staged",
        |p| {
            mine(p, EXPORT);
            p.git(&["add", EXPORT]);
        },
        EXPORT,
        "mine\n",
    ),
    (
        "committed",
        |p| {
            mine(p, EXPORT);
            p.git(&["commit", "-qam", "Mine"]);
        },
        EXPORT,
        "mine\n",
    ),
    (
        "on another branch",
        |p| {
            p.git(&["switch", "-qc", "theirs"]);
            mine(p, "mlx/theirs.cpp");
            p.git(&["add", "-A"]);
            p.git(&["commit", "-qm", "Theirs"]);
        },
        "theirs",
        "mine\n",
    ),
];

fn mine(project: &Project, path: &str) {
    fs::write(project.local(path), "mine\n").unwrap();
}

/// Another version of our primitive.
fn next_version(project: &Project, number: usize) {
    project.edit(&format!("int version_{number}() {{ return {number}; }}\n"));
}

/// One more file of ours.
fn new_file(project: &Project) {
    let root = project.layout.root();
    fs::write(root.join("mlx_primitives/new.h"), "// ours\n").unwrap();
    let manifest = project.layout.patches().join("series.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let last = "\"mlx/fused/swiglu.cpp\"]";
    let more = format!("{last}, [\"mlx_primitives/new.h\", \"mlx/fused/new.h\"]");
    assert!(text.contains(last));
    fs::write(manifest, text.replace(last, &more)).unwrap();
}

#[test]
fn edits_stop_a_run_before_the_build_lose_nothing_and_can_be_kept() {
    let project = Project::built();
    let built = ["stock", "fork", "src"].map(|name| project.layout.target().join(name));
    for (number, (what, edit, name, text)) in EDITS.into_iter().enumerate() {
        next_version(&project, number);
        if what.starts_with("added") {
            new_file(&project);
        }
        edit(&project);
        let (before, outputs) = (project.shown(), times(&built));
        let refs = project.git(&["for-each-ref"]);
        let head = project.git(&["rev-parse", "HEAD"]);
        project
            .setup(&[])
            .failed(3, &[name, "cargo xtask edits keep", "mlx_local"]);
        assert_eq!(differing(&project.shown(), &before), NONE, "{what}");
        assert_eq!(times(&built), outputs, "{what}: the build was touched");
        assert_eq!(project.git(&["rev-parse", "HEAD"]), head, "{what}");
        assert_eq!(project.git(&["for-each-ref"]), refs, "{what}");

        let kept = Ran::of(&mut project.xtask(&["edits", "keep"]));
        assert_eq!(kept.code, Some(0), "{what}: {}", kept.err);
        let reference = kept
            .out
            .split_whitespace()
            .find(|w| w.starts_with("refs/mlx-fork/kept/"));
        let reference = reference.unwrap_or_else(|| panic!("{what}: {}", kept.out));
        let summary = project.setup(&["--until", "fork"]).succeeded();
        project.assert_clean(&fork_id(&summary));
        let file = if name == "theirs" {
            "mlx/theirs.cpp"
        } else {
            name
        };
        let held = project.git(&["ls-tree", "-r", "--name-only", reference]);
        if text.is_empty() {
            assert!(!held.lines().any(|line| line == file), "{what}: {held}");
        } else {
            let content = project.git(&["show", &format!("{reference}:{file}")]);
            assert_eq!(content, text.trim_end(), "{what}");
        }
    }
    // The whole of it builds, with what changed meanwhile, and nothing else.
    let summary = project.setup(&[]).succeeded();
    assert_eq!(compiled(&summary, "fork"), (2, 0));
    project.assert_clean(&fork_id(&summary));
}
