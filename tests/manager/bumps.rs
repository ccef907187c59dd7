//! `bump` on a small upstream, as far as it goes without a build: what a merge can't see, what a
//! bump that ends early leaves behind, two at once.

use std::sync::Mutex;
use std::time::Duration;

use mlx_fork::Kind;
use mlx_fork::bump::{self, Report, To};
use mlx_fork::config::Config;
use mlx_fork::lock::Lock;
use mlx_fork::setup::Until;
use mlx_fork::source::{self, Choice};
use mlx_fork::ui::Ui;

use super::*;

const CODE: &str = "namespace mlx {\n\nvoid first() {\n  one();\n  two();\n}\n\nvoid second() {\n  \
                    three();\n  four();\n  five();\n}\n\n} // namespace mlx\n";

/// A project whose one feature has a hook in `first()`, and a clone of upstream.
struct Upstream {
    project: Project,
    config: Config,
    clone: git2::Repository,
}

impl Upstream {
    fn new() -> Self {
        let mut project = Project::new();
        let repo = project.repo();
        let (before, after) = (
            synthetic::tree(&repo, &code(EXPORT, CODE)),
            synthetic::tree(
                &repo,
                &code(EXPORT, &CODE.replace("two();\n", "two();\n  hook();\n")),
            ),
        );
        project.base = synthetic::commit(&repo, before);
        repo.reference("refs/mlx-fork/pins/base", project.base, true, "")
            .unwrap();
        let mail = synthetic::mail(&repo, "fused", before, after);
        project.patch("0001-fused.patch", mail);
        project.manifest(
            "base = \"base\"\n[[feature]]\nname = \"fused\"\npatch = \"0001-fused.patch\"\n\
             overlay = [[\"mlx_primitives/a.cpp\", \"mlx/fused/a.cpp\"]]\n",
        );
        let toml = synthetic::fork_toml(project.base, before);
        fs::write(project.layout.config(), toml).unwrap();
        project.shown();
        let config = Config::load(&project.layout).unwrap();
        let clone = git2::Repository::init_bare(project.dir.path().join("clone")).unwrap();
        Upstream {
            project,
            config,
            clone,
        }
    }

    /// Upstream's branch `main`: the file at `path` has this text.
    fn main(&self, path: &'static str, text: &str) {
        let tree = synthetic::tree(&self.clone, &code(path, text));
        let commit = synthetic::commit(&self.clone, tree);
        self.clone
            .reference("refs/heads/main", commit, true, "")
            .unwrap();
    }

    fn request(&self, to: To) -> bump::Request {
        bump::Request {
            to,
            options: mlx_fork::build::Options::default(),
            until: Until::Fork,
            worker: "none".into(),
            history: None,
            accept_moved: false,
        }
    }

    fn to_main(&self) -> bump::Request {
        self.request(To::Source(source::Request {
            pin: "base".into(),
            reference: Some("main".into()),
            url: "none".into(),
            choice: Choice::Path(self.clone.path().into()),
        }))
    }

    fn run(&self, request: &bump::Request) -> Result<(Report, Finished)> {
        bump::run(&self.project.layout, &self.config, request, &Silent)
    }

    fn dry_run(&self) -> Result<Report> {
        bump::dry_run(&self.project.layout, &self.config, &self.to_main(), &Silent)
    }

    fn pins(&self) -> String {
        self.project
            .git(&["for-each-ref", "--format=%(refname)", "refs/mlx-fork/pins"])
    }
}

fn code(path: &'static str, text: &str) -> synthetic::Files {
    let mut files = synthetic::upstream();
    files.retain(|(known, ..)| *known != EXPORT);
    files.push((path, text.into(), 0o100644));
    files
}

#[test]
fn a_hook_in_another_function_stops_a_bump_though_its_file_has_another_name() {
    let split = CODE.replace("void first() {\n", "void first() {\n}\n\nvoid split() {\n");
    for path in [EXPORT, "mlx/out.cpp"] {
        let upstream = Upstream::new();
        let before = files(&upstream.project);
        upstream.main(path, &split);
        for error in [
            upstream.dry_run().unwrap_err(),
            upstream.run(&upstream.to_main()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Gate, "{error}");
            let said = format!("{path} @@ -4,4 +4,5 @@: it is at line 9 in");
            assert!(error.what().contains(&said), "{error}");
        }
        assert_eq!(files(&upstream.project), before);
        let accepted = bump::Request {
            accept_moved: true,
            ..upstream.to_main()
        };
        upstream.run(&accepted).unwrap();
        assert_in_step_on(&upstream.project, "main");
    }
}

/// The project is on a pin of that name, and `mlx_local` shows its fork.
fn assert_in_step_on(project: &Project, name: &str) {
    let series = project.series();
    assert!(series.base.starts_with(name), "{}", series.base);
    let pin = project.git(&["rev-parse", &format!("refs/mlx-fork/pins/{}", series.base)]);
    let fork = mlx_fork::series::compose(&project.layout, &series, &pin).unwrap();
    assert_eq!(project.git(&["rev-parse", "HEAD"]), fork.id);
}

#[test]
fn a_hook_that_a_person_put_elsewhere_at_a_conflict_is_where_they_want_it() {
    let upstream = Upstream::new();
    upstream.main(EXPORT, &CODE.replace("  two();\n", "  2;\n"));
    upstream.run(&upstream.to_main()).unwrap_err();
    let answer = CODE
        .replace("  two();\n", "  2;\n")
        .replace("four();\n", "four();\n  hook();\n");
    fs::write(upstream.project.local(EXPORT), answer).unwrap();
    upstream.run(&upstream.request(To::Continue)).unwrap();
    assert_in_step_on(&upstream.project, "main");
}

#[test]
fn a_bump_that_ends_early_makes_no_pin() {
    let upstream = Upstream::new();
    let before = upstream.pins();
    upstream.main(EXPORT, &CODE.replace("one();", "1;"));
    upstream.dry_run().unwrap();
    assert_eq!(upstream.pins(), before);
    upstream.main(EXPORT, &CODE.replace("two();", "2;"));
    upstream.run(&upstream.to_main()).unwrap_err();
    assert_eq!(upstream.pins(), before);
    bump::abort(&upstream.project.layout, &Silent).unwrap();
    assert_eq!(upstream.pins(), before);
}

#[test]
fn bump_ends_and_goes_on_with_no_operation_of_another_command() {
    let upstream = Upstream::new();
    manager(&upstream.project).edit("fused").unwrap();
    let abort = bump::abort(&upstream.project.layout, &Silent).unwrap_err();
    let go_on = upstream.run(&upstream.request(To::Continue)).unwrap_err();
    let skip = upstream.run(&upstream.request(To::Skip)).unwrap_err();
    for error in [abort, go_on, skip] {
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.what().contains("fused is open"), "{error}");
        assert!(error.hints()[0].contains("cargo xtask patch"), "{error:?}");
    }
    assert!(manager(&upstream.project).session().unwrap().is_some());
}

/// Keeps the notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Ui for Notes {
    fn step(&self, _: &str) {}
    fn progress(&self, _: u64, _: u64, _: &str) {}
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.into());
    }
    fn warn(&self, _: &str) {}
}

#[test]
fn a_second_bump_waits_for_the_first_one_and_says_so() {
    let upstream = Upstream::new();
    upstream.main(EXPORT, &CODE.replace("one();", "1;"));
    let layout = &upstream.project.layout;
    let bumps = mlx_fork::layout::Layout::at(layout.root(), layout.target().join("bump"));
    let other = Lock::acquire(&bumps, Duration::ZERO, |_| {}).unwrap();
    let notes = Notes::default();
    let request = upstream.to_main();
    std::thread::scope(|scope| {
        let second =
            scope.spawn(|| bump::run(layout, &upstream.config, &request, &notes).map(drop));
        while notes.0.lock().unwrap().is_empty() {
            assert!(!second.is_finished(), "it didn't wait");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(upstream.project.series().base, "base");
        drop(other);
        second.join().unwrap().unwrap();
    });
    let notes = notes.0.into_inner().unwrap();
    assert!(
        notes[0].starts_with("waiting for another bump: pid"),
        "{notes:?}"
    );
    assert_in_step_on(&upstream.project, "main");
}
