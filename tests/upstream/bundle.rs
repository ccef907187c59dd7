//! The folder of evidence: what the project's commands say, an empty form, nothing sent.

use std::fs;
use std::path::PathBuf;

use mlx_fork::Kind;
use mlx_fork::ui::Silent;
use mlx_fork::upstream::bundle::{self, Bundle};

use crate::small::{FORM, MANIFEST, Small};

/// A program in place of this tool: it says how it was called, and fails for one word.
fn program(small: &Small) -> PathBuf {
    let path = small.project.dir.path().join("tool");
    fs::write(&path, "#!/bin/sh\necho \"$@\"\ntest \"$1\" != fails\n").unwrap();
    let mut mode = fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(&path, mode).unwrap();
    path
}

fn bundled(small: &Small) -> mlx_fork::Result<Bundle> {
    let program = program(small);
    let layout = &small.project.layout;
    bundle::bundle(layout, &small.config, "gather_sum", &program, &Silent)
}

fn with_evidence(small: &Small, command: &str) {
    small.upstream_toml(&format!(
        "{MANIFEST}\n[[evidence]]\nname = \"one\"\ncommand = {command}\nfile = \"one.txt\"\n"
    ));
}

fn prepare(small: &Small) -> String {
    let prepared = small.prepare().unwrap();
    prepared
        .branch(&small.project.layout, &Silent)
        .unwrap()
        .commit
}

#[test]
fn a_bundle_has_the_evidence_the_commits_the_change_and_an_empty_form() {
    let small = Small::new();
    with_evidence(&small, "[\"xtask\", \"parity\", \"{feature}\", \"{onto}\"]");
    let commit = prepare(&small);
    let made = bundled(&small).unwrap();
    made.verdict().unwrap();
    let pin = &small.config.pins["base"].commit;
    assert_eq!(
        (&made.commit, &made.onto, made.current),
        (&commit, pin, true)
    );
    let read = |name: &str| fs::read_to_string(made.folder.join(name)).unwrap();
    assert_eq!(read("one.txt"), format!("parity gather_sum {pin}\n"));
    assert_eq!(
        made.pieces[0].command,
        format!("cargo xtask parity gather_sum {pin}")
    );
    assert!(read("change.patch").contains("+   gather_sum"));
    assert_eq!(
        read("pull-request.md"),
        FORM.1,
        "upstream's, and no word more"
    );
    assert!(!made.filled);
    let evidence: serde_json::Value = serde_json::from_str(&read("evidence.json")).unwrap();
    assert_eq!(evidence["commit"], commit);
    assert!(made.before.is_none());
}

#[test]
fn evidence_that_fails_is_kept_and_fails_the_command() {
    let small = Small::new();
    with_evidence(&small, "[\"xtask\", \"fails\"]");
    prepare(&small);
    let made = bundled(&small).unwrap();
    assert_eq!(made.verdict().unwrap_err().kind(), Kind::Gate);
    assert_eq!(made.pieces[0].ending, "exit code 1");
}

#[test]
fn the_next_bundle_tells_what_changed_since_the_last_one() {
    let small = Small::new();
    with_evidence(&small, "[\"xtask\", \"parity\"]");
    let first = prepare(&small);
    bundled(&small).unwrap();
    let again = bundled(&small).unwrap();
    assert!(again.before.is_none());
    small
        .project
        .own("helper.h", "#pragma once\nint helps();\n");
    prepare(&small);
    let made = bundled(&small).unwrap();
    let (before, file) = made.before.clone().unwrap();
    assert_eq!(before, first);
    let text = fs::read_to_string(made.folder.join(file)).unwrap();
    assert!(text.contains("+int helps();"), "{text}");
}

#[test]
fn a_form_that_a_person_filled_stays_and_a_branch_they_changed_is_said_to_differ() {
    let small = Small::new();
    with_evidence(&small, "[\"xtask\", \"parity\"]");
    prepare(&small);
    let made = bundled(&small).unwrap();
    assert!(made.current);
    let form = made.folder.join("pull-request.md");
    fs::write(&form, "mine").unwrap();
    small
        .project
        .own("helper.h", "#pragma once\nint helps();\n");
    let made = bundled(&small).unwrap();
    assert!(!made.current && made.filled);
    assert_eq!(fs::read_to_string(form).unwrap(), "mine");
}

#[test]
fn a_failure_that_says_nothing_of_the_branch_is_no_difference() {
    let small = Small::new();
    with_evidence(&small, "[\"xtask\", \"parity\"]");
    prepare(&small);
    // A place that upstream lacks is one: the overlay makes other files.
    let made_for = |after: &str| {
        let toml = MANIFEST.replace("after = \"ops.cpp\"", after);
        small.upstream_toml(&format!(
            "{toml}\n[[evidence]]\nname = \"one\"\ncommand = [\"xtask\"]\nfile = \"one.txt\"\n"
        ));
    };
    made_for("after = \"gone.cpp\"");
    assert!(!bundled(&small).unwrap().current);
    made_for("after = \"ops.cpp\"");
    assert!(bundled(&small).unwrap().current);
    let style = small
        .project
        .layout
        .target()
        .join("upstream/gather_sum/style");
    fs::remove_dir_all(&style).unwrap();
    fs::write(&style, "in the way").unwrap();
    let error = bundled(&small).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert_eq!(error.context().last().unwrap(), "bundling gather_sum");
}

#[test]
fn without_a_branch_there_is_no_bundle() {
    let error = bundled(&Small::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.hints()[0].contains("upstream prepare"), "{error:?}");
}
