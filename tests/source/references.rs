//! `MLX_REF`: commits that are no pin.

use std::fs;
use std::process::Command;

use mlx_fork::Kind;
use mlx_fork::config::Config;
use mlx_fork::source::{self, Choice};
use mlx_fork::ui::Silent;

use crate::upstream::{Daemon, Project, Upstream, git};
use crate::{NO_NETWORK, check_clone, obtain};

#[test]
fn a_tag_a_branch_and_a_commit_that_are_no_pin_are_used_and_can_be_pinned() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let project = Project::new(&up);
    // Only "three" stays a pin, so that the second commit is none.
    let text = fs::read_to_string(project.layout.config()).unwrap();
    let at = text.find("[pins.two]").unwrap()..text.find("[pins.three]").unwrap();
    let kept = format!("{}{}", &text[..at.start], &text[at.end..]).replace("\"two\"", "\"three\"");
    let config = Config::parse(&kept).unwrap();
    let ask = |project: &Project, name: &str, choice: Choice| {
        let mut request = project.request(&url, choice);
        request.reference = Some(name.into());
        source::obtain(&project.layout, &config, &request, &Silent)
    };
    let (commit, tree) = up.commits[1].clone();
    for (name, choice) in [
        ("v1", Choice::Auto), // annotated: peeled
        ("side/line", Choice::Git),
        ("refs/tags/v1", Choice::Git),
        (&commit, Choice::Git),
        (&commit[..9], Choice::Git), // completed from the branch that stands there
        ("main~1", Choice::Path(up.repo())),
        (&commit[..9], Choice::Path(up.repo())),
    ] {
        let project = Project::new(&up);
        let served = ask(&project, name, choice.clone()).unwrap();
        assert_eq!(
            (&served.commit, &served.tree, &served.pin),
            (&commit, &tree, &None)
        );
        git(&project.mlx_local(), &["fsck", "--full", "--strict"]);
        assert_eq!(
            git(&project.mlx_local(), &["rev-list", "--count", &commit]),
            "1"
        );

        // The lines that are reported make it a pin, which then comes from a plain folder.
        let lines = served.unpinned.unwrap();
        let pinned = Config::parse(&format!("{kept}\n{lines}")).unwrap();
        let pin = pinned
            .pins
            .keys()
            .find(|pin| *pin != "three")
            .unwrap()
            .clone();
        for command in lines.lines().filter_map(|line| line.strip_prefix("# ")) {
            let done = Command::new("sh")
                .args(["-c", command])
                .current_dir(project.layout.root())
                .status();
            assert!(done.unwrap().success(), "{command}");
        }
        fs::remove_dir_all(project.mlx_local()).unwrap();
        let folder = up.dir.path().join("folder");
        let folder = if folder.exists() {
            folder
        } else {
            up.folder(1, "folder")
        };
        let mut request = project.request(NO_NETWORK, Choice::Path(folder));
        request.pin = pin.clone();
        source::obtain(&project.layout, &pinned, &request, &Silent).unwrap();
        check_clone(&project, &pin, &up.commits[1]);
    }
    // A name that stands at a pin's commit is that pin.
    let project = Project::new(&up);
    for name in [
        "main",
        "v2",
        "three",
        &up.commits[2].0,
        &up.commits[2].0[..8],
    ] {
        let served = ask(&project, name, Choice::Git).unwrap();
        assert_eq!(served.pin.as_deref(), Some("three"), "{name}");
        check_clone(&project, "three", &up.commits[2]);
    }
    for (name, choice, kind) in [
        ("v9", Choice::Git, Kind::Mirror),
        ("1234567", Choice::Git, Kind::Mirror),
        ("main", Choice::Crate, Kind::Usage),
        ("--upload-pack=x", Choice::Git, Kind::Usage),
        (&"1".repeat(40), Choice::Git, Kind::Mirror),
    ] {
        assert_eq!(
            ask(&project, name, choice).unwrap_err().kind(),
            kind,
            "{name}"
        );
    }
}

#[test]
fn a_name_that_was_fetched_before_still_works_without_network() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let project = Project::new(&up);
    let mut request = project.request(&format!("{}/up", daemon.url), Choice::Auto);
    request.reference = Some(up.commits[0].0.clone());
    obtain(&project, &request).unwrap();
    let mut branch = request.clone();
    branch.reference = Some("side/line".into());
    let first = obtain(&project, &branch).unwrap();
    drop(daemon);
    assert_eq!(obtain(&project, &request).unwrap().mirror, "mlx_local");
    let again = obtain(&project, &branch).unwrap();
    assert_eq!(
        (again.commit, again.mirror.as_str()),
        (first.commit, "mlx_local")
    );
    assert_eq!(again.passed_over.len(), 1);
    branch.choice = Choice::Git;
    assert_eq!(obtain(&project, &branch).unwrap_err().kind(), Kind::Mirror);
}
