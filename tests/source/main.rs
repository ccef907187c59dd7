//! From a mirror to `mlx_local`: with real git repositories, a real `git daemon` on loopback,
//! and cargo's real registry.

#[path = "../common/git_upstream.rs"]
mod upstream;

mod interrupted;
mod mirrors;
mod references;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mlx_fork::source::{self, Request};
use mlx_fork::ui::Silent;
use upstream::{Project, git};

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
