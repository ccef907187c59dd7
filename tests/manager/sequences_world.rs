//! What random sequences and kills run on: a small upstream with three pins and a series of
//! four features, with all that makes trouble: renames and mode changes between pins, binary
//! files, CRLF, files without an end of line, links. Made once, and copied for each run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::OnceLock;

use git2::{Index, Oid, Repository, RepositoryInitOptions};
use mlx_fork::git::checkout;
use mlx_fork::git::diff;
use mlx_fork::git::draft::File;
use mlx_fork::layout::Layout;
use mlx_fork::series::export;
use mlx_fork::series::header::Header;
use mlx_fork::series::{self, Fork};

use super::synthetic::{self, BINDING, CMAKE, EXPORT, Project, text};

/// Files by path: content and mode.
pub type Tree = BTreeMap<String, (Vec<u8>, u32)>;

const PLAIN: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;

/// The pins that a bump can go to.
pub const PINS: [&str; 3] = ["base", "calm", "next"];

fn base() -> Tree {
    let binary = b"\x7fELF\0\0\xff\xfe binary\r\n\0".to_vec();
    let files: [(&str, Vec<u8>, u32); 14] = [
        (".gitignore", b"build/\n*.o\n".into(), PLAIN),
        ("README.md", text("readme", 5).into(), PLAIN),
        (
            "build/kept.txt",
            b"in the tree, although ignored\n".into(),
            PLAIN,
        ),
        ("docs/gone.md", text("gone", 6).into(), PLAIN),
        ("link", b"README.md".into(), LINK),
        (CMAKE, text("cmake", 20).into(), PLAIN),
        ("mlx/blob.bin", binary, PLAIN),
        (
            "mlx/crlf.h",
            text("crlf", 20).replace('\n', "\r\n").into(),
            PLAIN,
        ),
        (EXPORT, text("export", 40).into(), PLAIN),
        ("mlx/old.cpp", text("old", 30).into(), PLAIN),
        ("mlx/ops.cpp", text("ops", 12).trim_end().into(), PLAIN),
        (BINDING, text("binding", 30).into(), PLAIN),
        ("tools/plain.sh", text("plain", 5).into(), PLAIN),
        ("tools/run.sh", b"#!/bin/sh\r\n".into(), EXECUTABLE),
    ];
    let files = files.map(|(path, content, mode)| (path.to_string(), (content, mode)));
    files.into_iter().collect()
}

fn replace(tree: &mut Tree, path: &str, from: &str, to: &str) {
    let content = &mut tree.get_mut(path).unwrap().0;
    let text = String::from_utf8(std::mem::take(content)).unwrap();
    assert!(text.contains(from), "{path} has no {from:?}");
    *content = text.replacen(from, to, 1).into_bytes();
}

/// Renames, mode changes, lines above the hooks: every patch carries over.
fn calm() -> Tree {
    let mut tree = base();
    replace(
        &mut tree,
        EXPORT,
        "export line 1\n",
        "export line 0\nexport line 1\n",
    );
    replace(
        &mut tree,
        "mlx/crlf.h",
        "crlf line 2\r\n",
        "crlf line 2\r\ncrlf line two\r\n",
    );
    replace(&mut tree, "mlx/old.cpp", "old line 3\n", "old line three\n");
    let moved = tree.remove("mlx/old.cpp").unwrap();
    tree.insert("mlx/moved/new.cpp".into(), moved);
    tree.get_mut("tools/run.sh").unwrap().1 = PLAIN;
    tree.get_mut("tools/plain.sh").unwrap().1 = EXECUTABLE;
    tree.get_mut("mlx/blob.bin").unwrap().0 = b"\0\x01other\xff".into();
    tree.get_mut("link").unwrap().0 = b"mlx".into();
    tree
}

/// The lines of hooks changed, a file gone that a patch deletes in another state.
fn next() -> Tree {
    let mut tree = calm();
    replace(
        &mut tree,
        EXPORT,
        "export line 30\n",
        "export line thirty\n",
    );
    replace(
        &mut tree,
        "mlx/crlf.h",
        "crlf line 10\r\n",
        "crlf line ten\r\n",
    );
    replace(
        &mut tree,
        "docs/gone.md",
        "gone line 2\n",
        "gone line two\n",
    );
    replace(
        &mut tree,
        "mlx/ops.cpp",
        "ops line 12",
        "ops line 12\nops line 13",
    );
    replace(
        &mut tree,
        BINDING,
        "binding line 29\n",
        "binding line twenty-nine\n",
    );
    tree.remove("README.md");
    tree.insert("mlx/later.cpp".into(), (text("later", 3).into(), PLAIN));
    tree
}

/// A feature's name, and what its patch does.
type Hook = (&'static str, fn(&mut Tree));

/// The hooks of each feature, one after the other.
fn hooks() -> [Hook; 4] {
    [
        ("fused", |tree| {
            replace(
                tree,
                CMAKE,
                "cmake line 20\n",
                "cmake line 20\nadd_subdirectory(fused)\n",
            );
            replace(
                tree,
                EXPORT,
                "export line 10\n",
                "export line 10\nhook one\n",
            );
        }),
        ("second", |tree| {
            replace(
                tree,
                BINDING,
                "binding line 15\n",
                "binding line 15\nbind\n",
            );
        }),
        ("ends", |tree| {
            replace(
                tree,
                "mlx/crlf.h",
                "crlf line 10\r\n",
                "crlf line 10\r\nhook\r\n",
            );
            replace(
                tree,
                "mlx/ops.cpp",
                "ops line 12",
                "ops line 12\nhook without an end",
            );
            tree.insert("mlx/made.txt".into(), (text("made", 4).into(), PLAIN));
        }),
        ("moved", |tree| {
            replace(
                tree,
                "mlx/old.cpp",
                "old line 15\n",
                "old line 15\nhook old\n",
            );
            replace(
                tree,
                EXPORT,
                "export line 30\n",
                "hook two\nexport line 30\n",
            );
            tree.remove("docs/gone.md");
        }),
    ]
}

const MANIFEST: &str = "# The series.\nbase = \"base\" # the pin\n\n\
    [[feature]]\nname = \"fused\"\npatch = \"0001-fused.patch\"\n\
    overlay = [[\"mlx_primitives/a.cpp\", \"mlx/fused/a.cpp\"],\n  \
    [\"mlx_primitives/run.sh\", \"mlx/fused/run.sh\", \"executable\"]]\n\n\
    # Needs the first.\n[[feature]]\nname = \"second\"\npatch = \"0002-second.patch\"\n\
    requires = [\"fused\"]\noverlay = [[\"mlx_primitives/b.bin\", \"mlx/fused/b.bin\"]]\n\n\
    [[feature]]\nname = \"ends\"\npatch = \"0003-ends.patch\"\n\n\
    [[feature]]\nname = \"moved\"\npatch = \"0004-moved.patch\"\n\
    overlay = [[\"mlx_primitives/c.cpp\", \"mlx/fused/c.cpp\"]]\n";

fn write_tree(repo: &Repository, tree: &Tree) -> Oid {
    let mut index = Index::new().unwrap();
    for (path, (content, mode)) in tree {
        let id = repo.blob(content).unwrap();
        index.add(&synthetic::entry(path, *mode, id)).unwrap();
    }
    index.write_tree_to(repo).unwrap()
}

/// The head of a patch file of this feature.
pub fn head(feature: &str) -> Header {
    Header::parse(&synthetic::head(feature)).unwrap()
}

fn make(root: &Path) {
    let layout = Layout::at(root, root.join("target/mlx"));
    fs::create_dir_all(layout.patches()).unwrap();
    fs::create_dir_all(root.join("mlx_primitives")).unwrap();
    mlx_fork::git::isolate();
    let mut options = RepositoryInitOptions::new();
    options.initial_head("fork").external_template(false);
    let repo = Repository::init_opts(layout.mlx_local(), &options).unwrap();
    for (pin, tree) in PINS.iter().zip([base(), calm(), next()]) {
        let id = synthetic::commit(&repo, write_tree(&repo, &tree));
        let name = format!("refs/mlx-fork/pins/{pin}");
        repo.reference(&name, id, true, "").unwrap();
    }
    let mut before = base();
    for (number, (feature, hook)) in hooks().into_iter().enumerate() {
        let mut after = before.clone();
        hook(&mut after);
        let file = |tree: &Tree, path: &String| {
            tree.get(path).map(|(content, mode)| File {
                content: content.clone(),
                executable: *mode == EXECUTABLE,
            })
        };
        let paths: std::collections::BTreeSet<&String> =
            before.keys().chain(after.keys()).collect();
        let diffs = paths
            .into_iter()
            .filter(|path| before.get(*path) != after.get(*path));
        let diffs: Vec<Vec<u8>> = diffs
            .map(|path| {
                let (old, new) = (file(&before, path), file(&after, path));
                diff::unified(path, old.as_ref(), new.as_ref()).unwrap()
            })
            .collect();
        let name = format!("{:04}-{feature}.patch", number + 1);
        let patch = export::patch(&name, &head(feature), &diffs).unwrap();
        fs::write(layout.patches().join(name), patch.bytes).unwrap();
        before = after;
    }
    for (name, content) in [
        ("a.cpp", text("a", 12).into_bytes()),
        ("run.sh", b"#!/bin/sh\necho run\n".to_vec()),
        ("b.bin", b"b\0\xff\r\nb".to_vec()),
        ("c.cpp", text("c", 12).replace('\n', "\r\n").into_bytes()),
    ] {
        fs::write(root.join("mlx_primitives").join(name), content).unwrap();
    }
    fs::write(layout.patches().join("series.toml"), MANIFEST).unwrap();
    checkout::fork(&layout, &compose(&layout).unwrap()).unwrap();
}

/// The fork of the project's files, on their own pin.
pub fn compose(layout: &Layout) -> mlx_fork::Result<Fork> {
    let series = series::load(layout)?;
    let repo = mlx_fork::git::survey::open(layout)?;
    let pin = format!("refs/mlx-fork/pins/{}", series.base);
    let pin = repo.refname_to_id(&pin).unwrap().to_string();
    series::compose(layout, &series, &pin)
}

/// A project of one's own, whose `mlx_local` shows its fork.
pub fn world() -> Project {
    static MADE: OnceLock<Tree> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = folder();
        make(&dir.path().join("project"));
        held(&dir.path().join("project"), &[])
    });
    let dir = folder();
    for (path, (content, mode)) in made {
        let to = dir.path().join("project").join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        if *mode == LINK {
            symlink(std::ffi::OsStr::from_bytes(content), to).unwrap();
        } else {
            fs::write(&to, content).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(mode & 0o777)).unwrap();
        }
    }
    in_folder(dir)
}

/// A folder for many small files: in memory where the system has a place for that.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    dir.unwrap()
}

/// A copy of a project.
pub fn copy_of(root: &Path) -> Project {
    let dir = folder();
    copy(root, &dir.path().join("project"));
    in_folder(dir)
}

fn in_folder(dir: tempfile::TempDir) -> Project {
    let to = dir.path().join("project");
    let layout = Layout::at(&to, to.join("target/mlx"));
    let repo = Repository::open(layout.mlx_local()).unwrap();
    let pin = |name: &str| repo.refname_to_id(&format!("refs/mlx-fork/pins/{name}"));
    Project {
        dir,
        layout,
        base: pin("base").unwrap(),
        next: pin("next").unwrap(),
    }
}

/// Copies a folder; links stay links.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let (path, to) = (item.path(), to.join(item.file_name()));
        let kind = item.file_type().unwrap();
        if kind.is_dir() {
            copy(&path, &to);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path).unwrap(), to).unwrap();
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// Everything in a folder but what is named: path, mode, content. Links aren't followed.
pub fn held(folder: &Path, without: &[&str]) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for item in fs::read_dir(&at).unwrap() {
            let path = item.unwrap().path();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if without.contains(&name.as_str()) {
                continue;
            }
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                open.push(path);
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string().into_vec();
                tree.insert(name, (target, LINK));
            } else {
                let mode = if meta.mode() & 0o100 != 0 {
                    EXECUTABLE
                } else {
                    PLAIN
                };
                tree.insert(name, (fs::read(&path).unwrap(), mode));
            }
        }
    }
    tree
}

/// What is on disk in `mlx_local`.
pub fn local(layout: &Layout) -> Tree {
    held(&layout.mlx_local(), &[".git"])
}

/// The project's own files.
pub fn project_files(layout: &Layout) -> Tree {
    held(layout.root(), &["target", "mlx_local"])
}
