//! The branch in `mlx_local`: one commit, a person's to finish, and never moved away from them.

use mlx_fork::Kind;
use mlx_fork::git::branch::Branch;
use mlx_fork::ui::Silent;

use crate::small::Small;
use crate::synthetic::shows;

fn branch(small: &Small) -> mlx_fork::Result<Branch> {
    small.prepare()?.branch(&small.project.layout, &Silent)
}

#[test]
fn the_branch_is_one_commit_by_the_person_with_a_message_to_be_written() {
    let small = Small::new();
    let shown = shows(&small.project.layout.mlx_local());
    let made = branch(&small).unwrap();
    assert!(made.new);
    assert_eq!(made.kept, "refs/mlx-fork/upstream/gather_sum/1");
    let log = small
        .project
        .git(&["log", "--format=%an <%ae> %cn|%B|%P", "upstream/gather_sum"]);
    let pin = &small.config.pins["base"].commit;
    let expected =
        format!("A Person <a@person> A Person|(write the commit message yourself)\n|{pin}");
    assert!(log.starts_with(&expected), "{log}");
    assert_eq!(shows(&small.project.layout.mlx_local()), shown);
}

#[test]
fn the_same_again_makes_nothing_new_and_a_change_is_numbered() {
    let small = Small::new();
    let first = branch(&small).unwrap();
    let again = branch(&small).unwrap();
    assert!(!again.new);
    assert_eq!(again.commit, first.commit);
    small
        .project
        .own("helper.h", "#pragma once\nint helps();\n");
    let second = branch(&small).unwrap();
    assert_eq!(second.kept, "refs/mlx-fork/upstream/gather_sum/2");
    assert_eq!(small.project.git(&["rev-parse", &first.kept]), first.commit);
    assert_eq!(
        small.project.git(&["rev-parse", "upstream/gather_sum"]),
        second.commit
    );
}

#[test]
fn a_commit_of_the_persons_is_never_moved_away_from() {
    let small = Small::new();
    branch(&small).unwrap();
    let tree = small
        .project
        .git(&["rev-parse", "upstream/gather_sum^{tree}"]);
    let theirs = small
        .project
        .git(&["commit-tree", "-m", "Add gather_sum", &tree]);
    small
        .project
        .git(&["branch", "-f", "upstream/gather_sum", &theirs]);
    small
        .project
        .own("helper.h", "#pragma once\nint helps();\n");
    let error = branch(&small).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.hints()[0].contains("branch -m"), "{error:?}");
    assert_eq!(
        small.project.git(&["rev-parse", "upstream/gather_sum"]),
        theirs
    );
}

#[test]
fn a_branch_that_is_checked_out_is_not_moved() {
    let small = Small::new();
    let made = branch(&small).unwrap();
    small
        .project
        .git(&["symbolic-ref", "HEAD", "refs/heads/upstream/gather_sum"]);
    small
        .project
        .own("helper.h", "#pragma once\nint helps();\n");
    let error = branch(&small).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.what().contains("checked out"), "{error}");
    assert_eq!(small.project.git(&["rev-parse", "HEAD"]), made.commit);
}

#[test]
fn without_a_name_there_is_no_commit_and_a_command_that_mends_it() {
    let small = Small::new();
    small.project.git(&["config", "user.name", ""]);
    let error = branch(&small).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.hints()[0].contains("git config"), "{error:?}");
    let gone = small
        .project
        .try_git(&["rev-parse", "--verify", "upstream/gather_sum"]);
    assert!(!gone.status.success());
}
