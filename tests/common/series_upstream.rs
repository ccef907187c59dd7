//! A small upstream with a series of two features, made anew for each test: real git
//! repositories, small enough that a test can make dozens.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use git2::{
    DiffFormat, DiffOptions, DiffStatsFormat, Index, IndexEntry, IndexTime, Oid, Repository,
    Signature, Time,
};
use mlx_fork::layout::Layout;
use mlx_fork::series::{self, Fork, Series};

pub const EXPORT: &str = "mlx/export.cpp";
pub const CMAKE: &str = "mlx/CMakeLists.txt";
pub const BINDING: &str = "python/src/mlx.cpp";

/// A project with `mlx_local`, two pins (`base`, `next`) and a series for the first.
pub struct Project {
    pub dir: tempfile::TempDir,
    pub layout: Layout,
    pub base: Oid,
    pub next: Oid,
}

/// `count` lines that differ from each other.
pub fn text(name: &str, count: usize) -> String {
    (1..=count).map(|n| format!("{name} line {n}\n")).collect()
}

pub type Files = Vec<(&'static str, String, u32)>;

pub fn upstream() -> Files {
    vec![
        (".gitignore", "build/\n*.o\n".into(), 0o100644),
        ("README.md", text("readme", 5), 0o100644),
        (
            "build/kept.txt",
            "in the tree, although ignored\n".into(),
            0o100644,
        ),
        ("link", "README.md".into(), 0o120000),
        (CMAKE, text("cmake", 20), 0o100644),
        (EXPORT, text("export", 40), 0o100644),
        ("mlx/ops.cpp", "no newline at the end".into(), 0o100644),
        (BINDING, text("binding", 30), 0o100644),
        ("tools/run.sh", "#!/bin/sh\r\n".into(), 0o100755),
    ]
}

/// The later upstream: lines above the hooks, a new file, one gone.
pub fn later_upstream() -> Files {
    let mut files = upstream();
    for (path, content, _) in &mut files {
        if *path == EXPORT {
            *content = format!("new 1\nnew 2\nnew 3\n{content}");
        }
        if *path == BINDING {
            *content = content.replace("binding line 29", "binding line twenty-nine");
        }
    }
    files.retain(|(path, ..)| *path != "README.md");
    files.push(("mlx/new.cpp", text("new", 3), 0o100644));
    files
        .iter_mut()
        .filter(|(path, ..)| *path == "link")
        .for_each(|f| f.1 = "mlx".into());
    files
}

pub fn tree(repo: &Repository, files: &Files) -> Oid {
    let mut index = Index::new().unwrap();
    for (path, content, mode) in files {
        index
            .add(&entry(path, *mode, repo.blob(content.as_bytes()).unwrap()))
            .unwrap();
    }
    index.write_tree_to(repo).unwrap()
}

pub fn entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    let zero = IndexTime::new(0, 0);
    IndexEntry {
        ctime: zero,
        mtime: zero,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.into(),
    }
}

pub fn commit(repo: &Repository, tree: Oid) -> Oid {
    let who = Signature::new("Upstream", "up@stream", &Time::new(1_700_000_000, 60)).unwrap();
    let tree = repo.find_tree(tree).unwrap();
    repo.commit(None, &who, &who, "upstream\n", &tree, &[])
        .unwrap()
}

/// A patch file from one tree to another.
pub fn mail(repo: &Repository, feature: &str, from: Oid, to: Oid) -> String {
    let trees = [from, to].map(|id| repo.find_tree(id).unwrap());
    let mut options = DiffOptions::new();
    options.context_lines(2).id_abbrev(40);
    let diff = repo
        .diff_tree_to_tree(Some(&trees[0]), Some(&trees[1]), Some(&mut options))
        .unwrap();
    let stat = diff
        .stats()
        .unwrap()
        .to_buf(DiffStatsFormat::FULL, 72)
        .unwrap();
    let mut text = String::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), ' ' | '+' | '-') {
            text.push(line.origin());
        }
        text.push_str(std::str::from_utf8(line.content()).unwrap());
        true
    })
    .unwrap();
    format!("{}---\n{}\n{text}", head(feature), stat.as_str().unwrap())
}

pub fn head(feature: &str) -> String {
    format!(
        "From {} Mon Sep 17 00:00:00 2001\nFrom: mlx-fork <mlx-fork@localhost>\n\
         Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] Hook {feature}\n into the build\n\n\
         What it is for.\n\nUpstream-Status: not-sent\nFeature: {feature}\n",
        "0".repeat(40)
    )
}

/// The fork.toml of a project whose one pin is `base`, with no place to get others from.
pub fn fork_toml(pin: Oid, tree: Oid) -> String {
    format!(
        "pin = \"base\"\nupstream.url = \"none\"\n[pins.base]\ncommit = \"{pin}\"\ntree = \"{tree}\"\n"
    )
}

/// `files` with text replaced in one of them.
pub fn with(mut files: Files, path: &str, from: &str, to: &str) -> Files {
    let file = files.iter_mut().find(|f| f.0 == path).unwrap();
    assert!(file.1.contains(from), "{path} has no {from}");
    file.1 = file.1.replacen(from, to, 1);
    files
}

/// Upstream with the first feature's hooks.
pub fn hooked() -> Files {
    let files = with(
        upstream(),
        CMAKE,
        "cmake line 20\n",
        "cmake line 20\nadd_subdirectory(fused)\n",
    );
    let files = with(
        files,
        EXPORT,
        "export line 10\n",
        "export line 10\nhook one\n",
    );
    with(
        files,
        EXPORT,
        "export line 30\n",
        "hook two\nexport line 30\n",
    )
}

impl Project {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::at(dir)
    }

    fn at(dir: tempfile::TempDir) -> Self {
        let root = dir.path().join("project");
        let layout = Layout::at(&root, root.join("target/mlx"));
        fs::create_dir_all(layout.patches()).unwrap();
        fs::create_dir_all(root.join("mlx_primitives")).unwrap();
        mlx_fork::git::isolate();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("fork").external_template(false);
        let repo = Repository::init_opts(layout.mlx_local(), &options).unwrap();
        let (base, next) = (tree(&repo, &upstream()), tree(&repo, &later_upstream()));
        let first = tree(&repo, &hooked());
        let second = tree(
            &repo,
            &with(
                hooked(),
                BINDING,
                "binding line 15\n",
                "binding line 15\nbind\n",
            ),
        );
        let project = Project {
            dir,
            base: commit(&repo, base),
            next: commit(&repo, next),
            layout,
        };
        repo.reference("refs/mlx-fork/pins/base", project.base, true, "")
            .unwrap();
        repo.reference("refs/mlx-fork/pins/next", project.next, true, "")
            .unwrap();
        project.patch("0001-fused.patch", mail(&repo, "fused", base, first));
        project.patch("0002-second.patch", mail(&repo, "second", first, second));
        project.own("a.cpp", "int a;\n");
        project.own("b.cpp", "int b;\r\n\0");
        project.manifest(
            "base = \"base\"\n[[feature]]\nname = \"fused\"\npatch = \"0001-fused.patch\"\n\
             overlay = [[\"mlx_primitives/a.cpp\", \"mlx/fused/a.cpp\"]]\n\
             [[feature]]\nname = \"second\"\npatch = \"0002-second.patch\"\nrequires = [\"fused\"]\n\
             overlay = [[\"mlx_primitives/b.cpp\", \"mlx/fused/b.cpp\"]]\n",
        );
        project
    }

    pub fn patch(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.layout.patches().join(name), text).unwrap();
    }
    pub fn manifest(&self, text: &str) {
        fs::write(self.layout.patches().join("series.toml"), text).unwrap();
    }
    /// Writes an overlay file.
    pub fn own(&self, name: &str, text: &str) {
        fs::write(self.layout.root().join("mlx_primitives").join(name), text).unwrap();
    }
    pub fn repo(&self) -> Repository {
        Repository::open(self.layout.mlx_local()).unwrap()
    }
    pub fn series(&self) -> Series {
        series::load(&self.layout).unwrap()
    }
    pub fn compose(&self) -> Fork {
        series::compose(&self.layout, &self.series(), &self.base.to_string()).unwrap()
    }
    /// Composes the fork and shows it.
    pub fn shown(&self) -> Fork {
        let fork = self.compose();
        mlx_fork::git::checkout::fork(&self.layout, &fork).unwrap();
        fork
    }
    /// A file of `mlx_local`.
    pub fn local(&self, path: &str) -> PathBuf {
        self.layout.mlx_local().join(path)
    }
    /// Runs git in `mlx_local`, as a person does, in the user's own configuration.
    pub fn git(&self, args: &[&str]) -> String {
        let output = self.try_git(args);
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_string()
    }
    pub fn try_git(&self, args: &[&str]) -> std::process::Output {
        std::process::Command::new("git")
            .args([
                "-c",
                "user.name=A Person",
                "-c",
                "user.email=a@person",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .arg("-C")
            .arg(self.layout.mlx_local())
            .args(args)
            .env("GIT_EDITOR", "true")
            .output()
            .unwrap()
    }
    /// Paths of all objects, references and files below the project: "nothing was written".
    pub fn everything(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        collect(self.layout.root(), &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, u64)>) {
    for item in fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        let meta = item.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            collect(&item.path(), found);
        } else {
            use std::os::unix::fs::MetadataExt;
            let when = (meta.mtime() as u64).wrapping_mul(1_000_000_007)
                ^ meta.mtime_nsec() as u64
                ^ (meta.len() << 40)
                ^ meta.ino();
            found.push((item.path(), when));
        }
    }
}

/// All files of a folder with mode and content, `.git` left out.
pub fn shows(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    collect(folder, &mut found);
    let mut files: Vec<_> = found
        .into_iter()
        .map(|(path, _)| {
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_symlink() {
                (
                    name,
                    0o120000,
                    fs::read_link(&path).unwrap().into_os_string().into_vec(),
                )
            } else {
                let mode = if meta.mode() & 0o100 != 0 {
                    0o100755
                } else {
                    0o100644
                };
                (name, mode, fs::read(&path).unwrap())
            }
        })
        .filter(|(name, ..)| !name.starts_with(".git/"))
        .collect();
    files.sort();
    files
}

/// What a tree holds, in the form of [`shows`].
pub fn holds(repo: &Repository, tree: &str) -> Vec<(String, u32, Vec<u8>)> {
    let tree = repo.find_tree(Oid::from_str(tree).unwrap()).unwrap();
    let mut files = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        if let Ok(blob) = entry.to_object(repo).unwrap().into_blob() {
            let name = format!("{folder}{}", entry.name().unwrap());
            files.push((name, entry.filemode() as u32, blob.content().to_vec()));
        }
        git2::TreeWalkResult::Ok
    })
    .unwrap();
    files.sort();
    files
}
