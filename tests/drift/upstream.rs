//! A small upstream with history, made by git commit by commit, and a project whose series is
//! made for one of its commits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mlx_fork::config::Config;
use mlx_fork::git::history::History;
use mlx_fork::layout::Layout;
use mlx_fork::series;
use mlx_fork::ui::Silent;
use mlx_fork::upstream::drift::{self, Commits, PatchReport, Report, State, Wanted};

pub const EXPORT: &str = "mlx/export.cpp";
pub const CMAKE: &str = "mlx/CMakeLists.txt";
pub const OPS: &str = "docs/src/python/ops.rst";

pub struct World {
    dir: tempfile::TempDir,
    pub layout: Layout,
    /// Ids by the names that a test gave its commits.
    pub ids: BTreeMap<&'static str, String>,
}

pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Up", "-c", "user.email=up@stream"])
        .args(["-c", "core.autocrlf=false", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

const EXPORT_TEXT: &str = "#include \"mlx/ops.h\"\n#include \"mlx/types.h\"\n\nnamespace mlx {\n\n\
    void first() {\n  one();\n  two();\n  three();\n}\n\nvoid second() {\n  four();\n  five();\n\
    \x20 six();\n}\n\n} // namespace mlx\n";
const CMAKE_TEXT: &str = "add_library(mlx)\nif(METAL)\n  metal()\nendif()\nif(CUDA)\n  cuda()\nelse()\n  \
    none()\nendif()\ninstall()\n";
const OPS_TEXT: &str = "Operations\n==========\n\n.. autosummary::\n   :toctree: _x\n\n   abs\n   add\n   \
    gather\n   log\n   sum\n";

impl World {
    /// The pin, with a patch of `mlx/export.cpp` and one of CMake and the documentation.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let up = dir.path().join("up");
        let root = dir.path().join("project");
        fs::create_dir_all(&up).unwrap();
        fs::create_dir_all(root.join("patches/pins")).unwrap();
        fs::create_dir_all(root.join("own")).unwrap();
        git(&up, &["init", "-q", "-b", "main"]);
        let mut world = World {
            dir,
            layout: Layout::at(&root, root.join("target/mlx")),
            ids: BTreeMap::new(),
        };
        world.write(EXPORT, EXPORT_TEXT);
        world.write(CMAKE, CMAKE_TEXT);
        world.write(OPS, OPS_TEXT);
        world.commit("before", "Before all");
        world.write("README.md", "mlx\n");
        world.commit("pin", "The pin (#1)");
        world.hooks(
            "0001-one.patch",
            "one",
            &[(EXPORT, "  two();\n", "  two();\n  hook();\n")],
        );
        world.hooks(
            "0002-two.patch",
            "two",
            &[
                (
                    CMAKE,
                    "  none()\nendif()\n",
                    "  none()\nendif()\nadd_subdirectory(own)\n",
                ),
                (OPS, "   gather\n", "   gather\n   gather_own\n"),
            ],
        );
        fs::write(root.join("own/a.cpp"), "int own;\n").unwrap();
        world.manifest("");
        world
    }

    /// Writes series.toml and fork.toml; `overlay` goes into the first feature.
    pub fn manifest(&self, overlay: &str) {
        let root = self.layout.root();
        let series = format!(
            "base = \"pin\"\n[[feature]]\nname = \"one\"\npatch = \"0001-one.patch\"\n\
             overlay = [[\"own/a.cpp\", \"mlx/own/a.cpp\"]{overlay}]\n\
             [[feature]]\nname = \"two\"\npatch = \"0002-two.patch\"\n"
        );
        fs::write(root.join("patches/series.toml"), series).unwrap();
        let mut config =
            "pin = \"pin\"\n[upstream]\nurl = \"git://127.0.0.1:1/none\"\n".to_string();
        for name in ["before", "pin"] {
            let commit = &self.ids[name];
            let tree = git(&self.up(), &["rev-parse", &format!("{commit}^{{tree}}")]);
            config += &format!("[pins.{name}]\ncommit = \"{commit}\"\ntree = \"{tree}\"\n");
        }
        fs::write(root.join("fork.toml"), config).unwrap();
    }

    pub fn up(&self) -> PathBuf {
        self.dir.path().join("up")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.up().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces words of a file of upstream's.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.up().join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replacen(from, to, 1));
    }

    /// Commits all; the id gets a name.
    pub fn commit(&mut self, name: &'static str, subject: &str) {
        git(&self.up(), &["add", "-A"]);
        let date = format!("2026-03-{:02}T12:00:00Z", self.ids.len() + 1);
        let up = self.up();
        let output = Command::new("git")
            .args(["-c", "user.name=Up", "-c", "user.email=up@stream"])
            .args(["commit", "-q", "--allow-empty", "-m", subject])
            .current_dir(&up)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_DATE", "2020-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", date)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.ids.insert(name, git(&up, &["rev-parse", "HEAD"]));
    }

    /// Writes a patch file that makes these replacements on the work tree as it is.
    pub fn hooks(&self, file: &str, feature: &str, edits: &[(&str, &str, &str)]) {
        for (path, from, to) in edits {
            self.edit(path, from, to);
        }
        let diff = [
            "diff",
            "-U2",
            "--full-index",
            "--no-renames",
            "--stat",
            "-p",
        ];
        let diff = git(&self.up(), &diff);
        git(&self.up(), &["checkout", "-q", "."]);
        let head = format!(
            "From {} Mon Sep 17 00:00:00 2001\nFrom: mlx-fork <mlx-fork@localhost>\n\
             Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] Hook {feature}\n\n\
             What it is for.\n\nUpstream-Status: not-sent\nFeature: {feature}\n---\n",
            "0".repeat(40)
        );
        let path = self.layout.patches().join(file);
        fs::write(path, format!("{head}{diff}\n")).unwrap();
    }

    /// `mlx_local` as setup leaves it: single commits without history.
    pub fn local(&self, commits: &[&str]) {
        let local = self.layout.mlx_local();
        fs::create_dir_all(&local).unwrap();
        git(&local, &["init", "-q"]);
        for name in commits {
            let id = self.ids[*name].as_str();
            let url = format!("file://{}", self.up().display());
            git(
                &self.up(),
                &["config", "uploadpack.allowAnySHA1InWant", "true"],
            );
            git(&local, &["fetch", "-q", "--depth=1", &url, id]);
        }
    }

    pub fn history(&self) -> History {
        History::open(&self.up()).unwrap()
    }

    pub fn find(&self, names: &[&str]) -> mlx_fork::Result<Commits> {
        let config = Config::load(&self.layout)?;
        let series = series::load(&self.layout)?;
        let wanted = Wanted {
            names: names.iter().map(|name| name.to_string()).collect(),
            history: Some(self.up()),
        };
        Commits::find(&self.layout, &config, &series, &wanted)
    }

    pub fn drift(&self, names: &[&str]) -> Report {
        let commits = self.find(names).unwrap();
        let series = series::load(&self.layout).unwrap();
        drift::drift(&series, &commits, None, &Silent).unwrap()
    }

    /// The states of both patches from after the pin to the end.
    pub fn states(&self) -> (Vec<State>, Vec<State>) {
        let report = self.drift(&["pin..main"]);
        let states = |patch: &PatchReport| patch.states.clone();
        (states(&report.patches[0]), states(&report.patches[1]))
    }
}
