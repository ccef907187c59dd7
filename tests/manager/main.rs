//! The patch manager on a small upstream: every operation, its conflicts, and its way back.

mod bumps;
mod conflicts;
mod imports;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod kills_trace;
mod mails;
mod real;
mod refusals;
mod safety;
mod sequences;
mod sequences_operation;
mod sequences_person;
mod sequences_world;
#[path = "../common/series_upstream.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use mlx_fork::git::checkout;
use mlx_fork::manager::edit::{Decided, Finished};
use mlx_fork::manager::journal::Local;
use mlx_fork::manager::plan::Plan;
use mlx_fork::manager::questions::{Goes, Question};
use mlx_fork::manager::refresh::{self, Request};
use mlx_fork::manager::{Manager, journal};
use mlx_fork::ui::Silent;
use mlx_fork::{Kind, Result};

use synthetic::{BINDING, EXPORT, Project, shows};

/// A project whose `mlx_local` shows its fork.
fn shown() -> Project {
    let project = Project::new();
    let fork = project.compose();
    checkout::fork(&project.layout, &fork).unwrap();
    project
}

fn manager(project: &Project) -> Manager<'_> {
    Manager::open(&project.layout, &Silent).unwrap()
}

/// What git says, run in a folder by a person.
fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=A Person", "-c", "user.email=a@person"])
        .arg("-C")
        .arg(folder)
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A clone of the folder's repository that shows the commit `name` of it on its branch `main`.
fn clone_at(from: &Path, name: &str, folder: &Path) {
    fs::create_dir(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    let from = from.to_str().unwrap();
    git(folder, &["fetch", "--quiet", "--depth=1", from, name]);
    git(folder, &["checkout", "--quiet", "-B", "main", "FETCH_HEAD"]);
}

/// Replaces text in a file.
fn change(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from:?}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// All files of the project but those of git and of builds.
fn files(project: &Project) -> BTreeMap<String, Vec<u8>> {
    files_below(project.layout.root())
}

fn files_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_string();
            if name == "target" || name == "mlx_local" {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn edit_local(project: &Project, path: &str, from: &str, to: &str) {
    change(&project.local(path), from, to);
}

fn take(project: &Project, request: &Request) -> Result<Option<(refresh::Routes, Finished)>> {
    refresh::refresh(&manager(project), request)
}

fn into(feature: &str) -> Request {
    Request {
        into: Some(feature.into()),
        ..Request::default()
    }
}

fn run(project: &Project, plan: Plan) -> Result<Finished> {
    let manager = manager(project);
    let local: Local = manager.clean()?;
    manager.run(plan, Decided::default(), local, local)
}

/// Puts `text` in the place of what is between the first markers.
fn resolve(project: &Project, path: &str, text: &str) {
    let file = project.local(path);
    let content = fs::read_to_string(&file).unwrap();
    let start = content.find("<<<<<<< ").unwrap();
    let end = content.find(">>>>>>> ").unwrap();
    let end = end + content[end..].find('\n').unwrap() + 1;
    let content = format!("{}{text}{}", &content[..start], &content[end..]);
    fs::write(file, content).unwrap();
}

/// `mlx_local` shows exactly the fork of the project's files.
fn assert_in_step(project: &Project) {
    let fork = project.compose();
    assert_eq!(project.git(&["rev-parse", "HEAD"]), fork.id);
    assert_eq!(project.git(&["status", "--porcelain", "--ignored=no"]), "");
    assert_eq!(
        shows(&project.layout.mlx_local()),
        synthetic::holds(&project.repo(), &fork.tree)
    );
    for name in ["refs/mlx-fork/pending", "refs/mlx-fork/session"] {
        assert_eq!(project.git(&["for-each-ref", name]), "");
    }
}

#[test]
fn an_edited_overlay_file_goes_back_to_the_project() {
    let project = shown();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    let (routes, finished) = take(&project, &Request::default()).unwrap().unwrap();
    let goes = Goes::Overlay("mlx_primitives/a.cpp".into());
    assert_eq!(routes.files, [("mlx/fused/a.cpp".to_string(), goes)]);
    assert_eq!(finished.written, ["mlx_primitives/a.cpp"]);
    assert_eq!(files(&project)["mlx_primitives/a.cpp"], b"int a = 2;\n");
    assert_in_step(&project);
}

#[test]
fn an_edit_of_upstreams_file_asks_for_its_patch_and_goes_there() {
    let project = shown();
    let before = files(&project);
    edit_local(&project, EXPORT, "hook one", "hook one\nhook more");
    let error = take(&project, &Request::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(
        error
            .what()
            .contains("mlx/export.cpp is upstream's, and changed by fused"),
        "{error}"
    );
    assert!(error.hints()[0].contains("--into"), "{error:?}");
    assert_eq!(files(&project), before);
    take(&project, &into("fused")).unwrap().unwrap();
    let patch = String::from_utf8(files(&project)["patches/0001-fused.patch"].clone()).unwrap();
    assert!(patch.contains("+hook one\n+hook more\n"), "{patch}");
    assert_in_step(&project);
}

#[test]
fn a_patch_is_opened_edited_with_git_and_taken_in() {
    let project = shown();
    manager(&project).edit("fused").unwrap();
    // The second feature isn't there while the first is open.
    assert!(
        !fs::read_to_string(project.local(BINDING))
            .unwrap()
            .contains("\nbind\n")
    );
    edit_local(
        &project,
        BINDING,
        "binding line 3\n",
        "binding line 3\nnew hook\n",
    );
    project.git(&["commit", "--quiet", "--all", "--message", "mine"]);
    let (_, finished) = take(&project, &Request::default()).unwrap().unwrap();
    assert!(finished.kept.unwrap().starts_with("refs/mlx-fork/kept/"));
    let text = fs::read_to_string(project.local(BINDING)).unwrap();
    assert!(text.contains("\nnew hook\n") && text.contains("\nbind\n"));
    let second = String::from_utf8(files(&project)["patches/0002-second.patch"].clone()).unwrap();
    // One line further down than before.
    assert!(second.contains("@@ -15,4 +15,5 @@"), "{second}");
    assert_in_step(&project);
}

#[test]
fn new_files_are_asked_for_and_go_where_they_are_told() {
    let project = shown();
    fs::write(project.local("mlx/fused/new.cpp"), "int n;\n").unwrap();
    fs::write(project.local("notes.txt"), "mine\n").unwrap();
    // Nothing is known of them: they stay.
    assert!(take(&project, &Request::default()).unwrap().is_none());
    project.git(&["add", "mlx/fused/new.cpp"]);
    let error = take(&project, &Request::default()).unwrap_err();
    assert!(
        error.hints()[0].contains("--own mlx/fused/new.cpp=mlx_primitives/new.cpp"),
        "{error:?}"
    );
    let mut request = into("second");
    request
        .own
        .insert("mlx/fused/new.cpp".into(), "mlx_primitives/new.cpp".into());
    let (routes, _) = take(&project, &request).unwrap().unwrap();
    assert_eq!(routes.left, [Path::new("notes.txt")]);
    assert_eq!(files(&project)["mlx_primitives/new.cpp"], b"int n;\n");
    assert_eq!(project.series().features[1].overlay.len(), 2);
    fs::remove_file(project.local("notes.txt")).unwrap();
    assert_in_step(&project);
}

#[test]
fn what_a_person_answers_is_what_the_options_say() {
    let project = shown();
    fs::write(project.local("mlx/fused/new.cpp"), "int n;\n").unwrap();
    fs::write(project.local("hook.txt"), "hook\n").unwrap();
    fs::remove_file(project.local("mlx/fused/a.cpp")).unwrap();
    edit_local(&project, EXPORT, "export line 20", "export line twenty");
    project.git(&["add", "mlx/fused/new.cpp", "hook.txt"]);
    let mut request = Request::default();
    let mut asked = Vec::new();
    loop {
        let questions = refresh::questions(&manager(&project), &request).unwrap();
        let Some(question) = questions.first() else {
            break;
        };
        assert!(!question.answer("", &mut request));
        let said = match question {
            Question::Deleted { .. } => "yes\n",
            Question::New { path, .. } if path == "hook.txt" => "hook\n",
            Question::New { .. } => "own\n",
            Question::Into { .. } => "fused\n",
            Question::Owner => panic!("it was said already"),
        };
        assert!(question.answer(said, &mut request), "{said}");
        asked.push(question.what());
    }
    assert_eq!(asked.len(), 4, "{asked:?}");
    take(&project, &request).unwrap().unwrap();
    let files = files(&project);
    assert_eq!(files["mlx_primitives/new.cpp"], b"int n;\n");
    let patch = String::from_utf8(files["patches/0001-fused.patch"].clone()).unwrap();
    assert!(
        patch.contains("b/hook.txt") && patch.contains("+export line twenty"),
        "{patch}"
    );
    assert_eq!(project.series().features[0].overlay.len(), 1);
    assert_in_step(&project);
}

#[test]
fn features_change_places_and_leave_and_undo_brings_all_back() {
    let project = shown();
    let manifest = project.layout.patches().join("series.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let text = format!(
        "# ours\n{}",
        text.replace("requires = [\"fused\"]\n", "# why\n")
    );
    fs::write(&manifest, text).unwrap();
    let first = files(&project);
    let order = vec!["second".to_string(), "fused".into()];
    run(&project, Plan::Reorder { order }).unwrap();
    assert_in_step(&project);
    let second = files(&project);
    assert!(second.contains_key("patches/0001-second.patch"));
    let text = String::from_utf8(second["patches/series.toml"].clone()).unwrap();
    assert!(
        text.starts_with("# ours\n") && text.contains("# why"),
        "{text}"
    );
    let features = vec!["second".to_string()];
    run(&project, Plan::Drop { features }).unwrap();
    assert_in_step(&project);
    let third = files(&project);
    assert_eq!(project.series().features.len(), 1);
    for state in [&second, &first] {
        manager(&project).undo().unwrap();
        assert_eq!(files(&project), *state);
        assert_in_step(&project);
    }
    assert_eq!(manager(&project).undo().unwrap_err().kind(), Kind::Usage);
    for state in [&second, &third] {
        manager(&project).redo().unwrap();
        assert_eq!(files(&project), *state);
        assert_in_step(&project);
    }
    assert_eq!(manager(&project).redo().unwrap_err().kind(), Kind::Usage);
    assert_eq!(journal::log(&project.repo(), 99).unwrap().len(), 6);
}

#[test]
fn an_undone_refresh_brings_the_edit_back_and_redo_takes_it_in_again() {
    let project = shown();
    let before = files(&project);
    edit_local(&project, EXPORT, "export line 20", "export line twenty");
    let edited = fs::read(project.local(EXPORT)).unwrap();
    take(&project, &into("second")).unwrap().unwrap();
    let after = files(&project);
    manager(&project).undo().unwrap();
    assert_eq!(files(&project), before);
    assert_eq!(fs::read(project.local(EXPORT)).unwrap(), edited);
    assert_eq!(project.git(&["status", "--porcelain"]), " M mlx/export.cpp");
    manager(&project).redo().unwrap();
    assert_eq!(files(&project), after);
    assert_in_step(&project);
}

#[test]
fn a_persons_file_where_the_fork_gets_one_stops_the_operation() {
    let project = shown();
    let features = vec!["second".to_string()];
    run(&project, Plan::Drop { features }).unwrap();
    let after = files(&project);
    fs::write(project.local("mlx/fused/b.cpp"), "mine\n").unwrap();
    let error = manager(&project).undo().unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.what().contains("mlx/fused/b.cpp"), "{error}");
    assert_eq!(files(&project), after);
    assert_eq!(
        fs::read_to_string(project.local("mlx/fused/b.cpp")).unwrap(),
        "mine\n"
    );
    // A folder in the place of a file is no other.
    fs::remove_file(project.local("mlx/fused/b.cpp")).unwrap();
    fs::create_dir(project.local("mlx/fused/b.cpp")).unwrap();
    fs::write(project.local("mlx/fused/b.cpp/mine"), "mine\n").unwrap();
    assert_eq!(manager(&project).undo().unwrap_err().kind(), Kind::Conflict);
    fs::remove_dir_all(project.local("mlx/fused/b.cpp")).unwrap();
    manager(&project).undo().unwrap();
    assert_in_step(&project);
}

#[test]
fn what_a_person_changed_since_stops_an_undo() {
    let project = shown();
    edit_local(&project, "mlx/fused/a.cpp", "int a;", "int a = 2;");
    take(&project, &Request::default()).unwrap().unwrap();
    project.own("a.cpp", "int a = 3;\n");
    let error = manager(&project).undo().unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.what().contains("mlx_primitives/a.cpp"), "{error}");
    assert_eq!(files(&project)["mlx_primitives/a.cpp"], b"int a = 3;\n");
}

#[test]
fn a_feature_that_another_requires_stays() {
    let project = shown();
    let features = vec!["fused".to_string()];
    let error = run(&project, Plan::Drop { features }).unwrap_err();
    assert!(error.what().contains("second requires fused"), "{error}");
    assert_in_step(&project);
}
