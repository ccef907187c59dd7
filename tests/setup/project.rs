//! A whole project on a small upstream: what `xtask setup-mlx` needs, from fork.toml to the
//! C API's header, in a folder of its own; and the command itself, as a person runs it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use git2::{Index, Oid, Repository};
use mlx_fork::build::files::files_below;
use mlx_fork::layout::Layout;
use serde_json::Value;

use crate::cmake_upstream::{self, Tree};
use crate::git_upstream::{git, write};
use crate::machine;
use crate::series_upstream::{CMAKE, EXPORT, commit, entry, mail};

pub const OURS: &str = "mlx_primitives/swiglu.cpp";

/// The upstream repository has three branches: `main` is the pin `one`; on `moved` the second
/// feature's hook stands three lines lower; on `clash` its context reads differently.
pub struct Project {
    _dir: tempfile::TempDir,
    pub layout: Layout,
    /// The pin's commit and tree.
    pub pin: (String, String),
}

fn stock() -> Tree {
    let mut tree = cmake_upstream::stock("1");
    let lines: String = (1..=8).map(|n| format!("// line {n}\n")).collect();
    tree.get_mut(EXPORT).unwrap().insert_str(0, &lines);
    tree
}

/// A tree with text replaced in one file, which has it.
fn with(mut tree: Tree, path: &str, from: &str, to: &str) -> Tree {
    let text = tree.get_mut(path).unwrap();
    assert!(text.contains(from), "{path} has no {from}");
    *text = text.replacen(from, to, 1);
    tree
}

fn put(repo: &Repository, tree: &Tree) -> Oid {
    let mut index = Index::new().unwrap();
    for (path, text) in tree {
        let blob = repo.blob(text.as_bytes()).unwrap();
        index.add(&entry(path, 0o100644, blob)).unwrap();
    }
    index.write_tree_to(repo).unwrap()
}

impl Project {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let root = base.join("project");
        let repo = Repository::init_bare(base.join("up")).unwrap();
        repo.set_head("refs/heads/main").unwrap();
        let main = put(&repo, &stock());
        let line = "add_subdirectory(fused)\n";
        let hooked = with(stock(), CMAKE, "cpp)\n", &format!("cpp)\n{line}"));
        let hook = "// line 4\nint hooked() { return 1; }\n";
        let both = with(hooked.clone(), EXPORT, "// line 4\n", hook);
        let (hooked, both) = (put(&repo, &hooked), put(&repo, &both));
        let first = commit(&repo, main);
        for (branch, from, to) in [
            ("main", "", ""),
            ("moved", "// line 1\n", "// a\n// b\n// c\n// line 1\n"),
            ("clash", "// line 4\n", "// line four\n"),
        ] {
            let tree = put(&repo, &with(stock(), EXPORT, from, to));
            let name = format!("refs/heads/{branch}");
            repo.reference(&name, commit(&repo, tree), true, "")
                .unwrap();
        }

        let patches = root.join("patches");
        let fork = cmake_upstream::fork("1");
        for (path, text) in &fork {
            if let Some(name) = path.strip_prefix("mlx/fused/") {
                write(&root, &format!("mlx_primitives/{name}"), text);
            }
        }
        for (path, text) in cmake_upstream::projects() {
            if path.starts_with("c/") {
                write(&root, &format!("mlx_primitives/{path}"), &text);
            }
        }
        let patch = |name: &str, text: String| write(&patches, name, &text);
        patch("0001-fused.patch", mail(&repo, "fused", main, hooked));
        patch("0002-swiglu.patch", mail(&repo, "swiglu", hooked, both));
        patch("series.toml", SERIES.into());
        let pin = (first.to_string(), main.to_string());
        let odb = repo.odb().unwrap();
        let raw = odb.read(first).unwrap().data().to_vec();
        let files = git(repo.path(), &["ls-tree", "-r", &pin.0]);
        patch("pins/one.commit", String::from_utf8(raw).unwrap());
        patch("pins/one.tree", files + "\n");
        let mut config = format!(
            "pin = \"one\"\n[upstream]\nurl = \"git://127.0.0.1:1/none\"\n\
             [pins.one]\ncommit = \"{}\"\ntree = \"{}\"\n[third_party]\n",
            pin.0, pin.1
        );
        // The small upstream uses none of them: the files by which they are recognised will do.
        for (name, marker) in THIRD_PARTY {
            write(&root, &format!("third_party/{name}/{marker}"), "");
            config += &format!("{name} = \"third_party/{name}\"\n");
        }
        write(&root, "fork.toml", &config);
        fs::create_dir_all(root.join("sys/src")).unwrap();

        let bin = base.join("bin");
        fs::create_dir(&bin).unwrap();
        for tool in [&machine::tools().cmake, &machine::tools().ninja] {
            symlink(&tool.path, bin.join(&tool.name)).unwrap();
        }
        Project {
            layout: Layout::at(&root, root.join("target/mlx")),
            pin,
            _dir: dir,
        }
    }

    /// Built up to the C API and the bindings.
    pub fn built() -> Self {
        let project = Self::new();
        project.setup(&[]).succeeded();
        project
    }

    pub fn upstream(&self) -> PathBuf {
        self.base().join("up")
    }

    /// The folder around everything.
    pub fn base(&self) -> &Path {
        self.layout.root().parent().unwrap()
    }

    /// `xtask` with these arguments, from outside the project.
    pub fn xtask(&self, args: &[&str]) -> Command {
        let mut command = Command::new(machine::xtask());
        self.ready(&mut command);
        command.args(args);
        command
    }

    /// A command in the environment that `xtask` is to have.
    pub fn ready(&self, command: &mut Command) {
        for variable in mlx_fork::env::ALL {
            command.env_remove(variable.name);
        }
        let path = std::env::var("PATH").unwrap();
        command
            .current_dir(self.base())
            .env("MLX_FORK_ROOT", self.layout.root())
            .env("PATH", format!("{}/bin:{path}", self.base().display()))
            .env("LIBCLANG_PATH", &machine::tools().libclang)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// The arguments of [`Self::setup`].
    pub fn arguments(&self) -> Vec<String> {
        let source = format!("path:{}", self.upstream().display());
        let args = ["setup-mlx", "--no-python", "--json", "--jobs", "2"];
        let more = ["--until", "build", "--source", &source];
        args.iter().chain(&more).map(|a| a.to_string()).collect()
    }

    /// `setup-mlx` up to the builds, with more arguments, which may repeat an earlier one.
    pub fn setup_command(&self, more: &[&str]) -> Command {
        let mut args = self.arguments();
        if let Some(at) = more.iter().position(|arg| *arg == "--until") {
            let earlier = args.iter().position(|arg| arg == "--until").unwrap();
            args[earlier + 1] = more[at + 1].into();
            let rest = more[..at].iter().chain(&more[at + 2..]);
            args.extend(rest.map(|arg| arg.to_string()));
        } else {
            args.extend(more.iter().map(|arg| arg.to_string()));
        }
        self.xtask(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn setup(&self, more: &[&str]) -> Ran {
        Ran::of(&mut self.setup_command(more))
    }

    /// Runs git in `mlx_local`, as a person does.
    pub fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=A Person", "-c", "user.email=a@person"];
        git(&self.layout.mlx_local(), &[&who, args].concat())
    }

    pub fn local(&self, path: &str) -> PathBuf {
        self.layout.mlx_local().join(path)
    }

    /// Edits our primitive: the text is C++ that goes to the end of its file.
    pub fn edit(&self, text: &str) {
        let path = self.layout.root().join(OURS);
        let old = fs::read_to_string(&path).unwrap();
        fs::write(&path, old + text).unwrap();
    }

    /// Both prefixes, the bindings, and what `mlx_local` shows.
    pub fn made(&self) -> Contents {
        let layout = &self.layout;
        let mut made = contents(&[layout.prefix("stock"), layout.prefix("fork")]);
        made.extend(self.shown());
        let bindings = layout.root().join("sys/src/bindings.rs");
        made.insert(bindings.clone(), fs::read(bindings).unwrap());
        made
    }

    /// The files of `mlx_local`, without git's own.
    pub fn shown(&self) -> Contents {
        let mut shown = contents(&[self.layout.mlx_local()]);
        shown.retain(|path, _| !path.starts_with(self.local(".git")));
        shown
    }

    /// `mlx_local` is a sound repository that shows this fork and nothing else.
    pub fn assert_clean(&self, fork: &str) {
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        assert_eq!(self.git(&["rev-parse", "HEAD"]), fork);
        assert_eq!(self.git(&["symbolic-ref", "HEAD"]), "refs/heads/fork");
        let said = self.git(&["fsck", "--full", "--strict"]);
        assert!(
            !said.contains("missing") && !said.contains("broken"),
            "{said}"
        );
    }
}

/// MLX's third-party sources, and the file by which each is recognised.
const THIRD_PARTY: [(&str, &str); 6] = [
    ("fmt", "include/fmt/format.h"),
    ("json", "single_include/nlohmann/json.hpp"),
    ("doctest", "scripts/cmake/doctest.cmake"),
    ("metal_cpp", "Metal/Metal.hpp"),
    ("blas", "include/cblas.h"),
    ("lapack", "include/lapacke.h"),
];

const SERIES: &str = r#"base = "one"
[[feature]]
name = "fused"
patch = "0001-fused.patch"
overlay = [
  ["mlx_primitives/CMakeLists.txt", "mlx/fused/CMakeLists.txt"],
  ["mlx_primitives/build_id.cpp", "mlx/fused/build_id.cpp"],
]
[[feature]]
name = "swiglu"
patch = "0002-swiglu.patch"
requires = ["fused"]
overlay = [["mlx_primitives/swiglu.cpp", "mlx/fused/swiglu.cpp"]]
"#;

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// The summary of a run that succeeded.
    #[track_caller]
    pub fn succeeded(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    /// It ended with this exit code and said each of these.
    #[track_caller]
    pub fn failed(&self, code: i32, says: &[&str]) {
        println!("{}", self.err);
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in says {
            assert!(self.err.contains(part), "no {part:?} in {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// An empty list.
pub const NONE: [&str; 0] = [];

/// The steps of a summary that had something to do.
pub fn done(summary: &Value) -> Vec<String> {
    let steps = summary["steps"].as_array().unwrap();
    assert!(!steps.is_empty());
    let busy = steps.iter().filter(|step| step["up_to_date"] == false);
    busy.map(|step| step["name"].as_str().unwrap().to_string())
        .collect()
}

/// Sources compiled for a side: ours, and upstream's.
pub fn compiled(summary: &Value, side: &str) -> (u64, u64) {
    let builds = summary["builds"].as_array().unwrap();
    let build = builds.iter().find(|build| build["side"] == side).unwrap();
    let count = |what: &str| build[what].as_u64().unwrap();
    (count("ours"), count("upstream"))
}

pub fn fork_id(summary: &Value) -> String {
    let id = summary["fork_id"].as_str().unwrap();
    assert_eq!(id.len(), 40, "{id}");
    id.to_string()
}

/// Files by path, a link by where it leads.
pub type Contents = BTreeMap<PathBuf, Vec<u8>>;

pub fn contents(folders: &[PathBuf]) -> Contents {
    let files = folders
        .iter()
        .flat_map(|folder| files_below(folder).unwrap());
    files
        .map(|file| {
            let content = match file.read_link() {
                Ok(target) => target.to_string_lossy().into_owned().into_bytes(),
                Err(_) => fs::read(&file).unwrap(),
            };
            (file, content)
        })
        .collect()
}

/// Which files differ, for a message shorter than their bytes.
pub fn differing(one: &Contents, two: &Contents) -> Vec<String> {
    let names = one.keys().chain(two.keys());
    let mut differ: Vec<_> = names
        .filter(|name| one.get(*name) != two.get(*name))
        .map(|name| name.display().to_string())
        .collect();
    differ.sort();
    differ.dedup();
    differ
}

/// Every file's time of change and number: who writes a file again, even the same, changes one.
pub fn times(folders: &[PathBuf]) -> BTreeMap<PathBuf, (i64, i64, u64)> {
    let files = folders
        .iter()
        .flat_map(|folder| files_below(folder).unwrap());
    files
        .map(|file| {
            let meta = file.symlink_metadata().unwrap();
            (file, (meta.mtime(), meta.mtime_nsec(), meta.ino()))
        })
        .collect()
}

/// Numbers from 0 to 1 that differ from run to run; the seed says which they were.
pub struct Random {
    pub seed: u64,
    state: u64,
}

impl Random {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = now.as_nanos() as u64;
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Random { seed, state }
    }

    pub fn next(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }
}
