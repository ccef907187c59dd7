//! The build's own source folder: shows a tree exactly, whatever was done to it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mlx_fork::git::checkout;

use crate::synthetic::{CMAKE, EXPORT, Project, holds, shows};
use crate::{assert_shows, times};

#[test]
fn the_build_folder_shows_the_tree_whatever_was_done_to_it() {
    let project = Project::new();
    let fork = project.shown();
    let root = project.layout.build_source();
    let base = project.git(&["rev-parse", &format!("{}^{{tree}}", project.base)]);
    let head = fs::read(project.local(".git/index")).unwrap();
    checkout::materialize(&project.layout, &base).unwrap();
    assert_eq!(shows(&root), holds(&project.repo(), &base));
    let before = times(&root);
    let changed = checkout::materialize(&project.layout, &fork.tree).unwrap();
    assert_eq!(shows(&root), holds(&project.repo(), &fork.tree));
    let after = times(&root);
    for (path, time) in &after {
        assert_eq!(
            before.get(path) == Some(time),
            !changed.written.contains(path),
            "{path:?}"
        );
    }
    assert_eq!(
        checkout::materialize(&project.layout, &fork.tree).unwrap(),
        checkout::Changed::default()
    );
    assert_eq!(times(&root), after);

    let spoil: &[fn(&Path)] = &[
        |r| fs::write(r.join(EXPORT), "changed").unwrap(),
        |r| fs::remove_file(r.join(CMAKE)).unwrap(),
        |r| fs::write(r.join("stray"), "").unwrap(),
        |r| {
            fs::create_dir_all(r.join("stray/.git/deep")).unwrap();
            fs::write(r.join("stray/.git/deep/x"), "").unwrap();
            fs::create_dir_all(r.join("mlx/.git")).unwrap();
        },
        |r| fs::set_permissions(r.join(CMAKE), fs::Permissions::from_mode(0o755)).unwrap(),
        |r| {
            fs::remove_dir_all(r.join("mlx")).unwrap();
            symlink("/tmp", r.join("mlx")).unwrap();
        },
        |r| {
            fs::remove_file(r.join(CMAKE)).unwrap();
            fs::create_dir_all(r.join(CMAKE).join("x/y")).unwrap();
        },
        |r| {
            fs::remove_dir_all(r.join("mlx")).unwrap();
            fs::write(r.join("mlx"), "").unwrap();
        },
        |r| fs::remove_file(r.with_file_name("src.index")).unwrap(),
        |r| fs::write(r.with_file_name("src.index"), "rubbish").unwrap(),
        |r| fs::write(r.with_file_name("src.index"), "").unwrap(),
        |r| {
            fs::remove_dir_all(r).unwrap();
            fs::write(r, "a file").unwrap();
        },
    ];
    for (number, spoil) in spoil.iter().enumerate() {
        let before = times(&root);
        spoil(&root);
        checkout::materialize(&project.layout, &fork.tree).unwrap();
        assert_eq!(shows(&root), holds(&project.repo(), &fork.tree), "{number}");
        if (8..=10).contains(&number) {
            assert_eq!(times(&root), before, "{number}: a lost index rewrote files");
        }
        assert_eq!(
            checkout::materialize(&project.layout, &fork.tree).unwrap(),
            checkout::Changed::default()
        );
    }
    assert_eq!(fs::read(project.local(".git/index")).unwrap(), head);
    assert_shows(&project, &fork);
}
