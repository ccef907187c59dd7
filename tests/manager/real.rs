//! The project's own series on MLX itself: to the other pin and back, and a large patch of
//! somebody's brought in.

use mlx_fork::bump::{self, To};
use mlx_fork::config::Config;
use mlx_fork::git::store::{self, Content};
use mlx_fork::layout::Layout;
use mlx_fork::manager::check;
use mlx_fork::manager::incoming::{self, Request as Import};
use mlx_fork::setup::Until;
use mlx_fork::source::{self, Choice};

use super::sequences_world::copy;
use super::*;

/// A copy of this project with an `mlx_local` of its own, which shows the fork.
struct Copy {
    dir: tempfile::TempDir,
    layout: Layout,
    config: Config,
}

impl Copy {
    fn new() -> Self {
        let here = Layout::discover().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        for folder in ["patches", "mlx_primitives", "metal"] {
            copy(&here.root().join(folder), &root.join(folder));
        }
        fs::copy(here.config(), root.join("fork.toml")).unwrap();
        let layout = Layout::at(&root, root.join("target/mlx"));
        let config = Config::load(&layout).unwrap();
        let copy = Copy {
            dir,
            layout,
            config,
        };
        // What this machine's mlx_local has needn't be got again.
        let repo = mlx_fork::git::open(&here.mlx_local()).unwrap();
        for (name, pin) in &copy.config.pins {
            let Ok(commit) = repo.find_commit(pin.commit.parse().unwrap()) else {
                continue;
            };
            let raw = mlx_fork::git::raw_commit(&repo, commit.id()).unwrap();
            let content = Content {
                from: &repo,
                tree: commit.tree_id(),
                commit: &raw,
                reference: &source::pin_reference(name),
                url: &copy.config.upstream.url,
            };
            store::put(&copy.layout.mlx_local(), &content).unwrap();
        }
        for name in copy.config.pins.keys() {
            source::obtain(&copy.layout, &copy.config, &copy.request(name), &Silent).unwrap();
        }
        let series = mlx_fork::series::load(&copy.layout).unwrap();
        let pin = copy.config.pin(&series.base).unwrap();
        let fork = mlx_fork::series::compose(&copy.layout, &series, &pin.commit).unwrap();
        checkout::fork(&copy.layout, &fork).unwrap();
        copy
    }

    fn request(&self, pin: &str) -> source::Request {
        source::Request {
            pin: pin.into(),
            reference: None,
            url: self.config.upstream.url.clone(),
            choice: Choice::Auto,
        }
    }

    fn bump(&self, pin: &str) {
        let request = bump::Request {
            to: To::Source(self.request(pin)),
            options: mlx_fork::build::Options::default(),
            until: Until::Fork,
            worker: "none".into(),
            history: None,
            accept_moved: false,
        };
        bump::run(&self.layout, &self.config, &request, &Silent).unwrap();
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        super::files_below(self.layout.root())
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.layout.mlx_local(), args)
    }
}

#[test]
fn the_series_goes_to_the_other_pin_and_comes_back_as_it_was() {
    let copy = Copy::new();
    let before = copy.files();
    let used = copy.config.pin.clone();
    let other = copy.config.pins.keys().find(|name| **name != used).unwrap();
    copy.bump(other);
    let there = copy.files();
    let config = Config::load(&copy.layout).unwrap();
    assert_eq!(config.pin, *other);
    let series = mlx_fork::series::load(&copy.layout).unwrap();
    assert_eq!(series.base, *other);
    let manager = Manager::open(&copy.layout, &Silent).unwrap();
    assert_eq!(check::check(&manager).unwrap(), []);
    drop(manager);
    assert_ne!(there, before);
    copy.bump(&used);
    assert_eq!(copy.files(), before);
    assert_eq!(copy.git(&["status", "--porcelain"]), "");
    // By undo, too: once for each bump.
    let manager = Manager::open(&copy.layout, &Silent).unwrap();
    manager.undo().unwrap();
    assert_eq!(copy.files(), there);
    manager.undo().unwrap();
    assert_eq!(copy.files(), before);
}

/// Puts `lines` behind the first line that satisfies `at`, counted from a line of the file.
fn insert(text: &mut Vec<String>, from: usize, lines: Vec<String>) {
    // Before a blank line between two definitions, so that the sources stay sources.
    let at = (from..text.len() - 1)
        .find(|at| text[*at].is_empty() && text[at - 1] == "}")
        .unwrap_or(text.len() - 1);
    text.splice(at..at, lines);
}

#[test]
fn a_thousand_lines_in_sixteen_files_come_in_as_own_files_and_hooks() {
    let copy = Copy::new();
    let clone = copy.dir.path().join("clone");
    let local = copy.layout.mlx_local();
    let base = format!("refs/mlx-fork/pins/{}", copy.config.pin);
    clone_at(&local, &base, &clone);
    let list = git(&clone, &["ls-files", "mlx/*.cpp"]);
    let mut wanted: Vec<&str> = list
        .lines()
        .filter(|path| {
            let text = fs::read_to_string(clone.join(path)).unwrap();
            text.lines().count() > 120 && text.matches("\n}\n\n").count() > 3
        })
        .collect();
    wanted.truncate(16);
    assert_eq!(wanted.len(), 16);
    let (mut hunks, mut lines) = (0, 0);
    for (number, path) in wanted.iter().enumerate() {
        let file = clone.join(path);
        let text = fs::read_to_string(&file).unwrap();
        let mut text: Vec<String> = text.lines().map(str::to_string).collect();
        let places = if number < 9 { 2 } else { 1 };
        for place in (0..places).rev() {
            let new: Vec<String> = (0..40)
                .map(|n| format!("// {number} {place} {n}: theirs"))
                .collect();
            lines += new.len();
            hunks += 1;
            let from = 10 + place * text.len() / 2;
            insert(&mut text, from, new);
        }
        fs::write(&file, text.join("\n") + "\n").unwrap();
    }
    assert_eq!((hunks, lines), (25, 1000));
    let message = "Add what they need";
    git(
        &clone,
        &["commit", "--quiet", "--all", "--message", message],
    );
    let request = Import {
        commits: Some((clone.clone(), "HEAD~1..HEAD".into())),
        name: Some("theirs".into()),
        ..Import::default()
    };
    let manager = Manager::open(&copy.layout, &Silent).unwrap();
    incoming::import(&manager, &request).unwrap();
    let series = mlx_fork::series::load(&copy.layout).unwrap();
    let theirs = series.features.last().unwrap();
    assert_eq!((theirs.patch.files.len(), theirs.overlay.len()), (16, 25));
    let hooks: usize = theirs
        .patch
        .files
        .iter()
        .map(|file| mlx_fork::series::export::counts(file).0)
        .sum();
    assert_eq!(hooks, 25);
    assert_eq!(check::check(&manager).unwrap(), []);
    // With each hook replaced by what it includes, the files are theirs; where our own hooks
    // are in a file too, it differs by those.
    let mut compared = 0;
    for path in wanted {
        let mut text = copy.git(&["show", &format!("HEAD:{path}")]);
        for file in &theirs.overlay {
            let hook = format!("#include \"{}\"\n", file.target);
            text = text.replace(&hook, std::str::from_utf8(&file.content).unwrap());
        }
        let mine = copy.git(&["show", &format!("HEAD~1:{path}")]);
        let pin = copy.git(&["show", &format!("{base}:{path}")]);
        if mine == pin {
            compared += 1;
            assert_eq!(
                text,
                fs::read_to_string(clone.join(path)).unwrap(),
                "{path}"
            );
        }
    }
    assert!(compared >= 12, "{compared}");
}
