//! What people do in a checkout, and what the tool has to name of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::synthetic::{BINDING, CMAKE, EXPORT, Project};

/// An edit by name, how it is made, and what the refusal has to name.
pub type Case = (&'static str, fn(&Project), &'static [&'static str]);

/// All of them.
pub const CASES: &[Case] = &[
    (
        "modified",
        |p| fs::write(p.local(EXPORT), "mine\n").unwrap(),
        &["modified  mlx/export.cpp"],
    ),
    (
        "modified, same size and time",
        |p| {
            let path = p.local(EXPORT);
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace("line 9\n", "line X\n");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, text).unwrap();
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        },
        &["modified  mlx/export.cpp"],
    ),
    (
        "modified overlay",
        |p| fs::write(p.local("mlx/fused/a.cpp"), "mine\n").unwrap(),
        &["modified  mlx/fused/a.cpp"],
    ),
    (
        "deleted",
        |p| fs::remove_file(p.local(CMAKE)).unwrap(),
        &["deleted   mlx/CMakeLists.txt"],
    ),
    (
        "mode",
        |p| fs::set_permissions(p.local(CMAKE), fs::Permissions::from_mode(0o755)).unwrap(),
        &["mode      mlx/CMakeLists.txt"],
    ),
    (
        "file to link",
        |p| {
            fs::remove_file(p.local(CMAKE)).unwrap();
            symlink("export.cpp", p.local(CMAKE)).unwrap();
        },
        &["type      mlx/CMakeLists.txt"],
    ),
    (
        "file to folder",
        |p| {
            fs::remove_file(p.local(CMAKE)).unwrap();
            fs::create_dir(p.local(CMAKE)).unwrap();
            fs::write(p.local(CMAKE).join("mine"), "mine\n").unwrap();
        },
        &["type      mlx/CMakeLists.txt"],
    ),
    (
        "folder to link",
        |p| {
            fs::rename(p.local("tools"), p.dir.path().join("tools")).unwrap();
            symlink(p.dir.path().join("tools"), p.local("tools")).unwrap();
        },
        &["deleted   tools/run.sh", "type      tools"],
    ),
    (
        "added where the fork wants a file",
        |p| {
            fs::create_dir(p.local("mlx/new")).unwrap();
            fs::write(p.local("mlx/new/c.cpp"), "mine\n").unwrap();
        },
        &["added     mlx/new/c.cpp"],
    ),
    (
        "added where the fork wants a folder",
        |p| fs::write(p.local("mlx/new"), "mine\n").unwrap(),
        &["type      mlx/new"],
    ),
    (
        "a folder where the fork wants a file",
        |p| {
            fs::create_dir_all(p.local("mlx/new/c.cpp")).unwrap();
            fs::write(p.local("mlx/new/c.cpp/x.o"), "mine\n").unwrap();
        },
        &["mlx/new/c.cpp"],
    ),
    (
        "staged",
        |p| {
            let text = fs::read(p.local(EXPORT)).unwrap();
            fs::write(p.local(EXPORT), "staged\n").unwrap();
            p.git(&["add", EXPORT]);
            fs::write(p.local(EXPORT), text).unwrap();
        },
        &["staged    mlx/export.cpp"],
    ),
    (
        "staged new file",
        |p| {
            fs::write(p.local("mine.txt"), "mine\n").unwrap();
            p.git(&["add", "mine.txt"]);
        },
        &["added     mine.txt"],
    ),
    (
        "staged deletion",
        |p| drop(p.git(&["rm", "--quiet", BINDING])),
        &["deleted   python/src/mlx.cpp"],
    ),
    (
        "committed",
        |p| {
            fs::write(p.local(EXPORT), "mine\n").unwrap();
            p.git(&["commit", "--quiet", "-am", "mine"]);
        },
        &["1 commit(s)", "modified  mlx/export.cpp"],
    ),
    (
        "committed and undone in the files",
        |p| {
            p.git(&["commit", "--quiet", "--allow-empty", "-m", "mine"]);
        },
        &["1 commit(s)"],
    ),
    (
        "another branch",
        |p| drop(p.git(&["switch", "--quiet", "--create", "mine"])),
        &["on the branch mine"],
    ),
    (
        "another branch at other files",
        |p| drop(p.git(&["switch", "--quiet", "--create", "mine", "HEAD~1"])),
        &["on the branch mine"],
    ),
    (
        "detached",
        |p| drop(p.git(&["checkout", "--quiet", "--detach"])),
        &["detached"],
    ),
    (
        "in a merge",
        |p| {
            p.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"]);
            fs::write(p.local(BINDING), "side\n").unwrap();
            p.git(&["commit", "--quiet", "-am", "side"]);
            p.git(&["switch", "--quiet", "fork"]);
            assert!(!p.try_git(&["merge", "side"]).status.success());
        },
        &["a merge is not finished", "unmerged  python/src/mlx.cpp"],
    ),
    (
        "in a rebase",
        |p| {
            p.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"]);
            fs::write(p.local(BINDING), "side\n").unwrap();
            p.git(&["commit", "--quiet", "-am", "side"]);
            assert!(!p.try_git(&["rebase", "fork"]).status.success());
        },
        &["a rebase is not finished"],
    ),
    (
        "a git command at work",
        |p| fs::write(p.local(".git/index.lock"), "").unwrap(),
        &["index.lock"],
    ),
    (
        "a damaged index and an edit",
        |p| {
            fs::write(p.local(".git/index"), "rubbish").unwrap();
            fs::write(p.local(EXPORT), "mine\n").unwrap();
        },
        &["modified  mlx/export.cpp"],
    ),
];
