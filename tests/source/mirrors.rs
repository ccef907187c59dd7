//! Which trees are taken, and which are refused.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mlx_fork::Kind;
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::source::Choice;

use crate::upstream::{Daemon, Project, Upstream, git, write};
use crate::{NO_NETWORK, check_clone, no_scratch_is_left, obtain, snapshot};

#[test]
fn every_kind_of_mirror_makes_the_same_depth_1_clone() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let bare = up.dir.path().join("bare");
    let shared = up.dir.path().join("shared");
    let tree = up.dir.path().join("worktree");
    git(up.dir.path(), &["clone", "-q", "--bare", "up", "bare"]);
    git(up.dir.path(), &["clone", "-q", "--shared", "up", "shared"]);
    git(
        &up.repo(),
        &[
            "worktree",
            "add",
            "-q",
            "--detach",
            tree.to_str().unwrap(),
            "HEAD~2",
        ],
    );
    let choices = [
        Choice::Auto,
        Choice::Git,
        Choice::Path(up.repo()),
        Choice::Path(bare),
        Choice::Path(shared),
        Choice::Path(tree),
        Choice::Path(up.folder(1, "folder")),
    ];
    let mut configs = Vec::new();
    for choice in choices {
        let project = Project::new(&up);
        let served = obtain(&project, &project.request(&url, choice.clone())).unwrap();
        assert_eq!(served.pin.as_deref(), Some("two"), "{choice:?}");
        assert!(served.passed_over.is_empty() && served.unpinned.is_none());
        check_clone(&project, "two", &up.commits[1]);
        assert!(no_scratch_is_left(&project));
        configs.push(fs::read_to_string(project.mlx_local().join(".git/config")).unwrap());
    }
    assert!(
        configs.iter().all(|config| *config == configs[0]),
        "{configs:#?}"
    );
    assert!(configs[0].contains(&url));
}

#[test]
fn the_history_of_a_clone_that_a_folder_served_can_be_fetched_later() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let project = Project::new(&up);
    let folder = Choice::Path(up.folder(1, "folder"));
    obtain(&project, &project.request(&url, folder)).unwrap();
    let local = project.mlx_local();
    git(&local, &["fetch", "-q", "--unshallow", "origin"]);
    assert_eq!(
        git(&local, &["rev-parse", "--is-shallow-repository"]),
        "false"
    );
    assert_eq!(
        git(&local, &["rev-list", "--count", "refs/mlx-fork/pins/two"]),
        "2"
    );
    git(&local, &["fsck", "--full", "--strict"]);
    // The next pin comes out of what is there, and cuts nothing off again.
    let mut request = project.request(NO_NETWORK, Choice::Git);
    request.pin = "three".into();
    let served = obtain(&project, &request).unwrap();
    assert_eq!(served.mirror, "mlx_local");
    assert_eq!(
        git(&local, &["rev-list", "--count", "refs/mlx-fork/pins/three"]),
        "3"
    );
    assert_eq!(git(&local, &["remote", "get-url", "origin"]), NO_NETWORK);
}

#[test]
fn a_mirror_that_differs_in_one_byte_is_refused_by_name_and_leaves_nothing() {
    let up = Upstream::new();
    let project = Project::new(&up);
    let folder = up.folder(1, "folder");
    write(&folder, "mlx/ops.cpp", "int 0ps();\n");
    let request = project.request(NO_NETWORK, Choice::Path(folder.clone()));
    let error = obtain(&project, &request).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), Kind::Mirror);
    assert!(
        text.contains(&up.commits[1].1) && text.contains("1 path differs"),
        "{text}"
    );
    assert!(text.contains("mlx/ops.cpp: blob"), "{text}");
    let found = text.split("its tree is ").nth(1).unwrap();
    assert!(
        found.bytes().take(40).all(|b| b.is_ascii_hexdigit()),
        "{text}"
    );
    assert!(!project.mlx_local().exists());
    assert!(no_scratch_is_left(&project));

    // A clone that is there stays as it is, to the byte.
    let mut three = project.request(NO_NETWORK, Choice::Path(up.repo()));
    three.pin = "three".into();
    obtain(&project, &three).unwrap();
    let before = snapshot(&project.mlx_local());
    assert_eq!(obtain(&project, &request).unwrap_err().kind(), Kind::Mirror);
    assert_eq!(snapshot(&project.mlx_local()), before);
    check_clone(&project, "three", &up.commits[2]);
}

#[test]
fn each_way_to_differ_is_listed_and_a_long_list_is_cut() {
    let up = Upstream::new();
    let project = Project::new(&up);
    let folder = up.folder(1, "folder");
    fs::remove_file(folder.join("README.md")).unwrap();
    fs::set_permissions(folder.join("configure"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(folder.join("link")).unwrap();
    write(&folder, "link", "../outside/../../etc/passwd");
    for n in 0..20 {
        write(&folder, &format!("zz/{n}"), "");
    }
    let request = project.request(NO_NETWORK, Choice::Path(folder));
    let text = obtain(&project, &request).unwrap_err().to_string();
    for part in [
        "23 paths differ",
        "README.md: is missing",
        "configure: mode 100644, not 100755",
        "link: mode 100644, not 120000",
        "zz/0: does not belong there",
        "… and 13 more",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    fs::remove_file(project.layout.pin_tree("two")).unwrap();
    let text = obtain(&project, &request).unwrap_err().to_string();
    assert!(
        text.contains("can't be said without") && text.contains("two.tree"),
        "{text}"
    );
}

#[test]
fn a_repository_that_lacks_the_commit_or_is_damaged_is_refused() {
    let up = Upstream::new();
    let project = Project::new(&up);
    let old = up.dir.path().join("old");
    git(up.dir.path(), &["init", "-q", "old"]);
    let request = project.request(NO_NETWORK, Choice::Path(old));
    let error = obtain(&project, &request).unwrap_err();
    assert!(
        error.to_string().contains("has neither the commit"),
        "{error}"
    );
    assert!(error.hints()[0].contains("fetch origin"), "{error:?}");

    // One blob's file replaced by another's: right in place and form, wrong in content.
    let blob = |path| git(&up.repo(), &["rev-parse", &format!("HEAD~1:{path}")]);
    let place = |id: &str| {
        up.repo()
            .join(format!(".git/objects/{}/{}", &id[..2], &id[2..]))
    };
    let (from, to) = (place(&blob("README.md")), place(&blob("mlx.pc.in")));
    fs::remove_file(&to).unwrap();
    fs::copy(from, &to).unwrap();
    let request = project.request(NO_NETWORK, Choice::Path(up.repo()));
    let error = obtain(&project, &request).unwrap_err();
    assert!(error.to_string().contains("copying the tree"), "{error}");
    assert!(!project.mlx_local().exists());
    fs::remove_file(&to).unwrap();
    obtain(&project, &request).unwrap_err();
    assert!(!project.mlx_local().exists());
}

#[test]
fn a_folder_becomes_the_tree_that_its_bytes_make_and_no_link_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    write(&folder, "Readme", "upper");
    write(&folder, "readme", "lower");
    write(&folder, &"n".repeat(255), "long");
    write(&folder, "a.b", "sorted before a/");
    write(&folder, "a/b", "in a");
    write(&folder, "a0", "sorted after a/");
    write(&folder, ".gitattributes", "* text eol=crlf\n");
    write(&folder, "crlf", "a\r\nb\r\n");
    write(&folder, "deep/.git/config", "not ours");
    write(&folder, "sub/.git", "gitdir: /elsewhere");
    write(&folder, "sub/file", "x");
    fs::create_dir(folder.join("empty")).unwrap();
    let strange = std::ffi::OsString::from_vec(b"not-utf8-\xff\n".to_vec());
    fs::write(folder.join(strange), "bytes").unwrap();
    for (name, target) in [
        ("loop", "."),
        ("out", "/etc/passwd"),
        ("gone", "../../nowhere"),
    ] {
        std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
    }
    let repo = mlx_fork::git::store::init_bare(&dir.path().join("repo")).unwrap();
    let odb = repo.odb().unwrap();
    let found = mlx_fork::git::tree::from_folder(&odb, &folder).unwrap();

    // git itself, told to use no filter, as the witness.
    let witness = dir.path().join("witness");
    fs::create_dir(&witness).unwrap();
    git(&witness, &["init", "-q"]);
    let listing = mlx_fork::git::tree::list(&repo, found).unwrap();
    assert_eq!(listing.len(), 13);
    assert_eq!(mlx_fork::git::tree::id_of(&listing).unwrap(), found);
    let script = r#"cd "$1" && find . -name .git -prune -o \( -type f -o -type l \) -print0 |
        while IFS= read -r -d '' path; do
            path=${path#./}
            if [ -L "$path" ]; then
                mode=120000; id=$(readlink -n -- "$path" | git --git-dir "$2" hash-object -w --stdin)
            else
                mode=100644; id=$(git --git-dir "$2" hash-object -w --no-filters -- "$path")
            fi
            printf '%s %s\t%s\0' $mode $id "$path"
        done | git --git-dir "$2" update-index -z --add --index-info"#;
    let done = Command::new("bash")
        .args(["-c", script, "-"])
        .args([&folder, &witness.join(".git")])
        .status();
    assert!(done.unwrap().success());
    assert_eq!(git(&witness, &["write-tree"]), found.to_string());

    let pipe = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(pipe.unwrap().success());
    let error = mlx_fork::git::tree::from_folder(&odb, &folder).unwrap_err();
    assert_eq!(error.kind(), Kind::Mirror);
    assert!(error.to_string().contains("pipe is neither"), "{error}");
}

#[test]
fn without_network_the_reasons_and_the_way_out_are_told_within_seconds() {
    let up = Upstream::new();
    let project = Project::new(&up);
    let start = Instant::now();
    let url = "https://user:secret@host.invalid/mlx";
    let error = obtain(&project, &project.request(url, Choice::Auto)).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(error.kind(), Kind::Mirror);
    let text = format!("{error} {:?}", error.hints());
    for part in [
        "git https://host.invalid/mlx: ",
        "crate: ",
        "path:DIR",
        &up.commits[1].0,
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    assert!(!project.mlx_local().exists());
}

#[test]
fn a_folder_of_somebody_elses_in_the_place_of_the_clone_is_left_alone() {
    let up = Upstream::new();
    let project = Project::new(&up);
    write(&project.mlx_local(), "notes.txt", "mine");
    let before = snapshot(&project.mlx_local());
    let request = project.request(NO_NETWORK, Choice::Path(up.repo()));
    let error = obtain(&project, &request).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    assert_eq!(snapshot(&project.mlx_local()), before);
}

#[test]
fn without_git_the_crate_of_the_real_pin_serves_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("patches/pins")).unwrap();
    fs::copy(root.join("fork.toml"), dir.path().join("fork.toml")).unwrap();
    for item in fs::read_dir(root.join("patches/pins")).unwrap() {
        let item = item.unwrap();
        fs::copy(
            item.path(),
            dir.path().join("patches/pins").join(item.file_name()),
        )
        .unwrap();
    }
    let layout = Layout::at(dir.path(), dir.path().join("target/mlx"));
    let config = Config::load(&layout).unwrap();
    let commit = &config.pins["v0.31.2"].commit;
    let project = Project::of(dir, layout, config.clone());
    let mut request = project.request(NO_NETWORK, Choice::Auto);
    request.pin = "v0.31.2".into();
    let served = obtain(&project, &request).unwrap();
    assert!(
        served.mirror.starts_with("crate rlx-mlx-sys 0.2.5"),
        "{served:?}"
    );
    assert!(served.passed_over[0].0.contains(NO_NETWORK), "{served:?}");
    let pin = &config.pins["v0.31.2"];
    check_clone(&project, "v0.31.2", &(commit.clone(), pin.tree.clone()));
    let subject = git(&project.mlx_local(), &["log", "-1", "--format=%an", commit]);
    assert!(!subject.is_empty());
}
