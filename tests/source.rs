//! From a mirror to `mlx_local`: with real git repositories, a real `git daemon` on loopback,
//! and cargo's real registry.

#[path = "common/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mlx_fork::Kind;
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::source::{self, Choice, Request};
use mlx_fork::ui::Silent;
use upstream::{Daemon, Project, Upstream, git, write};

/// Nothing listens there.
const NO_NETWORK: &str = "git://127.0.0.1:1/none";

fn obtain(project: &Project, request: &Request) -> mlx_fork::Result<source::Served> {
    source::obtain(&project.layout, &project.config, request, &Silent)
}

/// All that makes `mlx_local` the depth-1 clone of `commit` that it should be.
fn check_clone(project: &Project, pin: &str, (commit, tree): &(String, String)) {
    let local = project.mlx_local();
    let reference = format!("refs/mlx-fork/pins/{pin}");
    let fsck = git(&local, &["fsck", "--full", "--strict"]);
    assert!(
        !fsck.contains("missing") && !fsck.contains("broken"),
        "{fsck}"
    );
    assert_eq!(git(&local, &["rev-parse", &reference]), *commit);
    assert_eq!(
        git(&local, &["rev-parse", &format!("{reference}^{{tree}}")]),
        *tree
    );
    assert_eq!(git(&local, &["rev-list", "--count", &reference]), "1");
    assert_eq!(
        git(&local, &["rev-parse", "--is-shallow-repository"]),
        "true"
    );
    assert_eq!(git(&local, &["symbolic-ref", "HEAD"]), "refs/heads/fork");
}

fn no_scratch_is_left(project: &Project) -> bool {
    fs::read_dir(project.layout.scratch()).is_ok_and(|mut items| items.next().is_none())
}

/// Every file below a folder, with its content, to see that nothing changed.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut stack = vec![folder.to_path_buf()];
    while let Some(folder) = stack.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else {
                all.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    all
}

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
        text.contains(&up.commits[1].1) && text.contains("1 paths differ"),
        "{text}"
    );
    assert!(text.contains("mlx/ops.cpp: content"), "{text}");
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
fn what_is_there_already_is_served_at_once() {
    let up = Upstream::new();
    let project = Project::new(&up);
    obtain(
        &project,
        &project.request(NO_NETWORK, Choice::Path(up.repo())),
    )
    .unwrap();
    let before = snapshot(&project.mlx_local());
    let request = project.request(NO_NETWORK, Choice::Auto);
    let fastest = (0..10).map(|_| {
        let start = Instant::now();
        assert_eq!(obtain(&project, &request).unwrap().mirror, "mlx_local");
        start.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(10), "{fastest:?}");
    assert_eq!(snapshot(&project.mlx_local()), before);
}

#[test]
fn what_a_killed_run_left_does_not_stop_the_next() {
    let up = Upstream::new();
    let project = Project::new(&up);
    write(&project.mlx_local(), ".git.unfinished/objects/ab/half", "x");
    write(&project.layout.scratch(), "source-abc/git/HEAD", "x");
    let request = project.request(NO_NETWORK, Choice::Path(up.repo()));
    obtain(&project, &request).unwrap();
    check_clone(&project, "two", &up.commits[1]);
    assert!(no_scratch_is_left(&project));
    for left in [
        "objects/pack/pack_git2_0123",
        "shallow.mlx-fork",
        "config.lock",
        "refs/mlx-fork/pins/three.lock",
    ] {
        write(&project.mlx_local().join(".git"), left, "half");
    }
    let mut three = project.request("git://127.0.0.1:2/other", Choice::Path(up.repo()));
    three.pin = "three".into();
    obtain(&project, &three).unwrap();
    check_clone(&project, "three", &up.commits[2]);
    assert!(
        !project
            .mlx_local()
            .join(".git/objects/pack/pack_git2_0123")
            .exists()
    );
    // Objects and shallow written, the reference not: found there, not fetched again.
    fs::remove_file(project.mlx_local().join(".git/refs/mlx-fork/pins/three")).unwrap();
    three.choice = Choice::Git;
    assert_eq!(obtain(&project, &three).unwrap().mirror, "mlx_local");
}

/// Not a test of its own: the body of child processes of the tests below.
#[test]
#[ignore = "run by other tests as a child process"]
fn child() {
    let root = PathBuf::from(std::env::var_os("CHILD_ROOT").unwrap());
    let layout = Layout::at(&root, root.join("target/mlx"));
    let config = Config::load(&layout).unwrap();
    let request = Request {
        pin: config.pin.clone(),
        reference: None,
        url: std::env::var("CHILD_URL").unwrap(),
        choice: std::env::var("CHILD_CHOICE").unwrap().parse().unwrap(),
    };
    source::obtain(&layout, &config, &request, &Silent).unwrap();
}

/// `sh -c SCRIPT` with this test program as `"$@"`, set to run [`child`].
fn child_of(script: &str, project: &Project, url: &str, choice: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "-"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored"])
        .env("CHILD_ROOT", project.layout.root())
        .env("CHILD_URL", url)
        .env("CHILD_CHOICE", choice)
        .stdout(std::process::Stdio::null());
    command
}

#[test]
fn umask_home_locale_and_a_persons_git_settings_change_nothing() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        "template/hooks/post-checkout",
        "#!/bin/sh\nexit 1\n",
    );
    write(home.path(), "attributes", "* text eol=crlf\n");
    let settings = format!(
        "[core]\nautocrlf = true\nfileMode = false\nattributesFile = {0}/attributes\n\
         excludesFile = {0}/attributes\nhooksPath = {0}/template/hooks\n\
         [init]\ntemplateDir = {0}/template\ndefaultBranch = other\n\
         [fetch]\nprune = true\n[transfer]\nfsckObjects = true\n[safe]\nbareRepository = explicit\n",
        home.path().display()
    );
    write(home.path(), ".gitconfig", &settings);
    let folder = up.folder(1, "folder");
    let mut seen: Vec<BTreeMap<PathBuf, String>> = Vec::new();
    for (umask, locale) in [("022", "C"), ("077", "de_DE.UTF-8"), ("000", "tr_TR.UTF-8")] {
        for choice in ["git".to_string(), format!("path:{}", folder.display())] {
            let project = Project::new(&up);
            let script = format!("umask {umask}; exec \"$@\"");
            let mut command = child_of(&script, &project, &url, &choice);
            command
                .env("HOME", home.path())
                .env("LC_ALL", locale)
                .env("TZ", "Asia/Tokyo");
            command
                .env("GIT_DIR", "/nonexistent")
                .env("GIT_INDEX_FILE", "/nonexistent");
            assert!(command.status().unwrap().success(), "{umask} {choice}");
            check_clone(&project, "two", &up.commits[1]);
            let git_dir = project.mlx_local().join(".git");
            let files = ["config", "HEAD", "shallow", "refs/mlx-fork/pins/two"];
            let texts = files.map(|f| (f.into(), fs::read_to_string(git_dir.join(f)).unwrap()));
            assert!(!git_dir.join("hooks/post-checkout").exists());
            seen.push(texts.into());
        }
    }
    assert!(seen.iter().all(|files| *files == seen[0]), "{seen:#?}");
}

#[test]
fn a_run_killed_at_any_time_leaves_what_the_next_completes() {
    let up = Upstream::new();
    let daemon = Daemon::serve(up.dir.path());
    let url = format!("{}/up", daemon.url);
    let folder = format!("path:{}", up.folder(1, "folder").display());
    for choice in ["git", &folder] {
        let mut finished = 0;
        let mut killed = 0;
        let mut wait = Duration::ZERO;
        while finished < 2 {
            let project = Project::new(&up);
            let mut child = child_of("exec \"$@\"", &project, &url, choice)
                .spawn()
                .unwrap();
            std::thread::sleep(wait);
            child.kill().unwrap();
            let done = child.wait().unwrap().success();
            finished += u32::from(done);
            killed += u32::from(!done);
            let reference = project.mlx_local().join(".git/refs/mlx-fork/pins/two");
            if reference.exists() {
                check_objects(&project, &up);
            }
            let request = project.request(&url, choice.parse().unwrap());
            obtain(&project, &request).unwrap();
            check_clone(&project, "two", &up.commits[1]);
            wait += Duration::from_millis(4) + wait / 6;
        }
        assert!(killed > 0, "no run was killed before its end");
    }
}

/// The reference is the proof: where it stands, everything is there.
fn check_objects(project: &Project, up: &Upstream) {
    let count = git(
        &project.mlx_local(),
        &["rev-list", "--objects", "refs/mlx-fork/pins/two"],
    );
    assert!(count.lines().count() > 8 && count.starts_with(&up.commits[1].0));
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
