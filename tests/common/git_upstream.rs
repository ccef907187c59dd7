//! A small synthetic upstream: real git repositories with the awkward things that MLX's tree
//! may hold, and a project folder (fork.toml, patches/pins) that pins two of its commits.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::source::{Choice, Request};

/// Runs git apart from this machine's settings; its output, trimmed.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

pub struct Upstream {
    pub dir: tempfile::TempDir,
    /// Commits and trees, oldest first.
    pub commits: Vec<(String, String)>,
}

impl Upstream {
    /// Three commits on `main`; `v1` is an annotated tag of the second, `v2` a light one of the last.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let up = dir.path().join("up");
        fs::create_dir(&up).unwrap();
        git(&up, &["init", "-q", "-b", "main"]);
        git(&up, &["config", "user.name", "Upstream"]);
        git(&up, &["config", "user.email", "upstream@localhost"]);
        git(&up, &["config", "core.autocrlf", "false"]);
        write(&up, "README.md", "one\n");
        write(&up, "mlx/ops.cpp", "int ops();\n");
        write(&up, "mlx/ops/deep/a.h", "#pragma once\n");
        write(&up, "mlx.pc.in", "name\n");
        write(&up, "configure", "#!/bin/sh\n");
        fs::set_permissions(up.join("configure"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("../outside/../../etc/passwd", up.join("link")).unwrap();
        // Files that ignore rules and attributes would change or drop, if they had a say.
        write(&up, "crlf.bin", "a\r\nb\n");
        write(&up, "kept.o", "committed though ignored\n");
        write(&up, ".gitignore", "*.o\nbuild/\n");
        write(&up, "build/kept.txt", "committed though ignored\n");
        git(&up, &["add", "-A", "-f"]);
        git(&up, &["commit", "-qm", "One"]);
        write(&up, ".gitattributes", "* text eol=crlf\n*.h ident\n");
        write(&up, "mlx/ops/deep/a.h", "// $Id$\n#pragma once\n");
        git(&up, &["add", ".gitattributes", "mlx"]);
        git(&up, &["commit", "-qm", "Two"]);
        git(&up, &["tag", "-a", "v1", "-m", "v1"]);
        write(&up, "mlx/ops.cpp", "int ops(int);\n");
        git(&up, &["add", "mlx"]);
        git(&up, &["commit", "-qm", "Three"]);
        git(&up, &["tag", "v2"]);
        git(&up, &["branch", "side/line", "HEAD~1"]);
        let ids = git(&up, &["log", "--reverse", "--format=%H %T"]);
        let commits = ids
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(commit, tree)| (commit.to_string(), tree.to_string()))
            .collect();
        Upstream { dir, commits }
    }

    pub fn repo(&self) -> PathBuf {
        self.dir.path().join("up")
    }

    /// The files of a commit, byte for byte, as an unpacked archive has them.
    pub fn folder(&self, commit: usize, name: &str) -> PathBuf {
        let to = self.dir.path().join(name);
        fs::create_dir(&to).unwrap();
        let listing = git(&self.repo(), &["ls-tree", "-r", &self.commits[commit].0]);
        for line in listing.lines() {
            let (facts, path) = line.split_once('\t').unwrap();
            let words: Vec<&str> = facts.split(' ').collect();
            let blob = Command::new("git")
                .args(["cat-file", "blob", words[2]])
                .current_dir(self.repo())
                .output()
                .unwrap()
                .stdout;
            let path = to.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if words[0] == "120000" {
                let target = String::from_utf8(blob).unwrap();
                std::os::unix::fs::symlink(target, &path).unwrap();
                continue;
            }
            fs::write(&path, blob).unwrap();
            let mode = u32::from_str_radix(&words[0][3..], 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        to
    }
}

/// A project that pins the second and the third commit as `two` and `three`.
pub struct Project {
    _dir: tempfile::TempDir,
    pub layout: Layout,
    pub config: Config,
}

impl Project {
    pub fn new(up: &Upstream) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let pins = root.join("patches/pins");
        fs::create_dir_all(&pins).unwrap();
        let mut text = "pin = \"two\"\n[upstream]\nurl = \"git://127.0.0.1:1/none\"\n".to_string();
        for (name, (commit, tree)) in ["two", "three"].iter().zip(&up.commits[1..]) {
            text += &format!("[pins.{name}]\ncommit = \"{commit}\"\ntree = \"{tree}\"\n");
            let raw = Command::new("git")
                .args(["cat-file", "commit", commit])
                .current_dir(up.repo())
                .output()
                .unwrap();
            fs::write(pins.join(format!("{name}.commit")), raw.stdout).unwrap();
            let files = git(&up.repo(), &["ls-tree", "-r", commit]);
            fs::write(pins.join(format!("{name}.tree")), files + "\n").unwrap();
        }
        fs::write(root.join("fork.toml"), text).unwrap();
        let layout = Layout::at(root, root.join("target/mlx"));
        let config = Config::load(&layout).unwrap();
        Project::of(dir, layout, config)
    }

    /// A project of its own in `dir`.
    pub fn of(dir: tempfile::TempDir, layout: Layout, config: Config) -> Self {
        Project {
            _dir: dir,
            layout,
            config,
        }
    }

    pub fn request(&self, url: &str, choice: Choice) -> Request {
        Request {
            pin: self.config.pin.clone(),
            reference: None,
            url: url.to_string(),
            choice,
        }
    }

    pub fn mlx_local(&self) -> PathBuf {
        self.layout.mlx_local()
    }
}

/// `git daemon` on loopback over every repository of a folder; ended when dropped.
pub struct Daemon {
    child: Child,
    pub url: String,
}

impl Daemon {
    pub fn serve(folder: &Path) -> Self {
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            // The program itself: `git daemon` would be its parent, and outlive a kill of that.
            let exec = git(folder, &["--exec-path"]);
            let mut child = Command::new(format!("{exec}/git-daemon"))
                .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--base-path={}", folder.display()))
                .arg(folder)
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_SYSTEM", "/dev/null")
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(10) {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                // A connection to a free port may meet itself, or another test's daemon that
                // was quicker: ours must be the one that lives.
                let met = TcpStream::connect(("127.0.0.1", port))
                    .is_ok_and(|stream| stream.local_addr().ok() != stream.peer_addr().ok());
                if met {
                    std::thread::sleep(Duration::from_millis(100));
                    if child.try_wait().unwrap().is_some() {
                        break;
                    }
                    let url = format!("git://127.0.0.1:{port}");
                    return Daemon { child, url };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("git daemon does not start");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
