//! Where the source comes from, as the whole command has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::git_upstream::{Daemon, git, write};
use crate::machine::xtask;
use crate::project::{Project, Ran, compiled, contents, fork_id};
use crate::series_upstream::EXPORT;

/// The pin's files, as an unpacked archive has them.
fn unpacked(project: &Project) -> String {
    let folder = project.base().join("unpacked");
    fs::create_dir(&folder).unwrap();
    let work_tree = format!("--work-tree={}", folder.display());
    git(
        &project.upstream(),
        &[&work_tree, "checkout", "-q", "main", "--", "."],
    );
    format!("path:{}", folder.display())
}

/// Forgets all that was set up.
fn forget(project: &Project) {
    for made in [
        project.layout.mlx_local(),
        project.layout.target().to_path_buf(),
    ] {
        if made.exists() {
            fs::remove_dir_all(made).unwrap();
        }
    }
}

#[test]
fn the_fork_id_is_the_same_from_every_mirror_and_in_every_environment() {
    let project = Project::new();
    let until_fork = ["--until", "fork"];
    let id = fork_id(&project.setup(&until_fork).succeeded());
    let daemon = Daemon::serve(project.base());
    let clone = project.base().join("clone");
    let file = format!("file://{}", project.upstream().display());
    git(project.base(), &["clone", "-q", &file, "clone"]);
    let (clone, folder) = (format!("path:{}", clone.display()), unpacked(&project));
    let git_url = format!("{}/up", daemon.url);
    let nowhere = "git://127.0.0.1:1/none".to_string();
    for (source, url) in [
        (&*clone, &nowhere),
        (&folder, &nowhere),
        ("git", &file),
        ("git", &git_url),
        ("auto", &git_url),
    ] {
        forget(&project);
        let mut args = vec!["setup-mlx", "--no-python", "--json", "--until", "fork"];
        args.extend(["--source", source]);
        let ran = Ran::of(project.xtask(&args).env("MLX_REPO_URL", url));
        let summary = ran.succeeded();
        assert_eq!(fork_id(&summary), id, "{source} {url}");
        let mirror = summary["mirror"].as_str().unwrap();
        assert!(mirror.starts_with(source.split(':').next().unwrap()) || source == "auto");
        project.assert_clean(&id);
    }

    // A home with settings that would change everything, if they had a say.
    let home = project.base().join("home");
    write(
        &home,
        ".gitconfig",
        "[user]\nname = Someone\nemail = some@one\n[core]\nautocrlf = true\nfileMode = false\n\
         [commit]\ngpgSign = true\n[i18n]\ncommitEncoding = latin1\n[init]\ndefaultBranch = x\n",
    );
    for (variable, value, umask) in [
        ("HOME", home.to_str().unwrap(), "022"),
        ("TZ", "Pacific/Kiritimati", "077"),
        ("LC_ALL", "tr_TR.UTF-8", "002"),
        ("GIT_AUTHOR_NAME", "Someone", "000"),
        ("GIT_DIR", "/nowhere", "027"),
    ] {
        forget(&project);
        let mut command = in_environment(&project, umask, &folder);
        let ran = Ran::of(command.env(variable, value));
        assert_eq!(
            fork_id(&ran.succeeded()),
            id,
            "{variable}={value}, umask {umask}"
        );
        project.assert_clean(&id);
    }
}

fn in_environment(project: &Project, umask: &str, source: &str) -> Command {
    let mut command = Command::new("sh");
    project.ready(&mut command);
    command.args(["-c", "umask \"$1\" && shift && exec \"$@\"", "sh", umask]);
    command.arg(xtask());
    command.args([
        "setup-mlx",
        "--no-python",
        "--json",
        "--until",
        "fork",
        "--source",
        source,
    ]);
    command
}

/// `setup-mlx` of a branch, from the git remote.
fn of_branch(project: &Project, url: &str, branch: &str) -> Ran {
    let args = [
        "setup-mlx",
        "--no-python",
        "--json",
        "--jobs",
        "2",
        "--until",
        "build",
    ];
    let mut command = project.xtask(&args);
    Ran::of(command.env("MLX_REPO_URL", url).env("MLX_REF", branch))
}

#[test]
fn a_branch_that_is_no_pin_is_used_reported_and_gets_the_series_ported() {
    let project = Project::new();
    let daemon = Daemon::serve(project.base());
    let url = format!("{}/up", daemon.url);
    let summary = of_branch(&project, &url, "moved").succeeded();
    let commit = git(&project.upstream(), &["rev-parse", "moved"]);
    assert_eq!(summary["commit"], *commit);
    assert!(summary["pin"].is_null());
    assert_eq!(summary["ported"], true);
    let lines = summary["unpinned"].as_str().unwrap();
    let tree = git(&project.upstream(), &["rev-parse", "moved^{tree}"]);
    for part in ["[pins.\"moved-", &commit, &tree, "cat-file commit"] {
        assert!(lines.contains(part), "no {part} in {lines}");
    }
    assert_eq!(compiled(&summary, "fork"), (2, 1));
    let id = fork_id(&summary);
    project.assert_clean(&id);
    let text = fs::read_to_string(project.local(EXPORT)).unwrap();
    assert!(text.starts_with("// a\n// b\n"), "{text}");
    assert!(text.contains("// line 4\nint hooked()"), "{text}");

    // The next one can't be ported: everything stays at the last.
    let before = project.made();
    let hunk = ["mlx/export.cpp", "swiglu", "line 4"];
    of_branch(&project, &url, "clash").failed(3, &hunk);
    assert!(project.made() == before);
    project.assert_clean(&id);
    // And back to the pin.
    let summary = project.setup(&[]).succeeded();
    assert_eq!(summary["pin"], "one");
    assert_eq!(summary["ported"], false);
    project.assert_clean(&fork_id(&summary));
}

#[test]
fn a_mirror_that_differs_in_one_byte_is_refused_and_leaves_nothing() {
    let project = Project::new();
    let source = unpacked(&project);
    let file = Path::new(source.strip_prefix("path:").unwrap()).join(EXPORT);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("line 8", "line 9")).unwrap();
    let args = ["setup-mlx", "--no-python", "--source", &source];
    let refused = || {
        let ran = Ran::of(&mut project.xtask(&args));
        ran.failed(6, &[&project.pin.1, "mlx/export.cpp", "1 path differs"]);
    };
    refused();
    assert!(!project.layout.mlx_local().exists());
    let left = contents(&[project.layout.target().to_path_buf()]);
    let lock = project.layout.target().join("lock");
    assert!(left.keys().all(|path| *path == lock), "{:?}", left.keys());

    // Nor does it matter once the right tree is there.
    let id = fork_id(&project.setup(&["--until", "fork"]).succeeded());
    let ran = Ran::of(&mut project.xtask(&[&args[..], &["--until", "fork", "--json"]].concat()));
    assert_eq!(fork_id(&ran.succeeded()), id);
}
