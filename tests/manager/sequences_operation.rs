//! One random operation of the manager, as its commands would run it.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Oid, Repository};
use mlx_fork::error::Doing;
use mlx_fork::git::{checkout, edits};
use mlx_fork::manager::Manager;
use mlx_fork::manager::bump::Onto;
use mlx_fork::manager::edit::Decided;
use mlx_fork::manager::import::{Imported, NewFeature};
use mlx_fork::manager::plan::Plan;
use mlx_fork::manager::refresh::{self, Request};
use mlx_fork::manager::session::Session;
use mlx_fork::series;
use mlx_fork::ui::Silent;
use mlx_fork::{Error, Result};

use super::sequences_person::Person;
use super::sequences_world::{PINS, compose, head, local};
use super::synthetic::Project;

/// What an operation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Refresh,
    Edit,
    Reorder,
    Drop,
    Import,
    Bump,
    Resume,
    Skip,
    Abort,
    Undo,
    Redo,
    Keep,
    Show,
    Export,
}

/// All of them.
pub const KINDS: [Kind; 14] = [
    Kind::Refresh,
    Kind::Edit,
    Kind::Reorder,
    Kind::Drop,
    Kind::Import,
    Kind::Bump,
    Kind::Resume,
    Kind::Skip,
    Kind::Abort,
    Kind::Undo,
    Kind::Redo,
    Kind::Keep,
    Kind::Show,
    Kind::Export,
];

impl Kind {
    /// True where edits in `mlx_local` stop it.
    pub fn needs_a_clean_checkout(self) -> bool {
        matches!(
            self,
            Kind::Reorder | Kind::Drop | Kind::Import | Kind::Bump | Kind::Export
        )
    }

    /// True where it works the series out anew, so that the fork of the project's files is
    /// what `mlx_local` shows then.
    pub fn is_planned(self) -> bool {
        use Kind::{Bump, Drop, Export, Import, Refresh, Reorder, Resume, Skip};
        matches!(
            self,
            Refresh | Reorder | Drop | Import | Bump | Export | Resume | Skip
        )
    }
}

/// An operation to be run.
pub struct Operation<'a> {
    pub kind: Kind,
    /// What it is, for people.
    pub what: String,
    run: Box<dyn Fn() -> Result<()> + 'a>,
}

impl Operation<'_> {
    pub fn run(&self) -> Result<()> {
        (self.run)()
    }
}

pub fn open(project: &Project) -> Result<Manager<'_>> {
    Manager::open(&project.layout, &Silent)
}

/// Runs a plan from where `mlx_local` is.
pub fn run(project: &Project, plan: Plan) -> Result<()> {
    let manager = open(project)?;
    let before = manager.clean()?;
    manager
        .run(plan, Decided::default(), before, before)
        .map(drop)
}

/// Goes on with what stopped, a bump too.
pub fn resume(project: &Project) -> Result<()> {
    let manager = open(project)?;
    let ready = manager.work_on()?;
    manager.finish(ready).map(drop)
}

/// What is open.
pub fn session(project: &Project) -> Option<Session> {
    let repo = mlx_fork::git::survey::open(&project.layout).unwrap();
    Session::read(&repo).unwrap()
}

fn features(project: &Project) -> Vec<String> {
    let series = series::load(&project.layout);
    let features = series.map(|series| series.features).unwrap_or_default();
    features.into_iter().map(|feature| feature.name).collect()
}

/// The next operation. A person who means to get on does what the open session asks for.
pub fn next<'a>(person: &mut Person<'a>) -> Operation<'a> {
    let random = &mut person.random;
    let kind = match session(person.project) {
        Some(Session::Stopped(_)) => match random.below(100) {
            0..65 => Kind::Resume,
            65..78 => Kind::Skip,
            78..88 => Kind::Abort,
            _ => KINDS[random.below(KINDS.len())],
        },
        Some(Session::Edit { .. }) if random.chance(60) => Kind::Refresh,
        _ => match random.below(100) {
            0..26 => Kind::Refresh,
            26..34 => Kind::Edit,
            34..44 => Kind::Reorder,
            44..49 => Kind::Drop,
            49..56 => Kind::Import,
            56..73 => Kind::Bump,
            73..82 => Kind::Undo,
            82..88 => Kind::Redo,
            88..91 => Kind::Keep,
            91..93 => Kind::Export,
            93..96 => Kind::Show,
            _ => KINDS[random.below(KINDS.len())],
        },
    };
    of_kind(person, kind)
}

/// An operation of this kind, with what else it needs.
pub fn of_kind<'a>(person: &mut Person<'a>, kind: Kind) -> Operation<'a> {
    let project = person.project;
    let names = features(project);
    let said = |what: String, run: Box<dyn Fn() -> Result<()> + 'a>| Operation { kind, what, run };
    let planned = |plan: Plan| {
        let what = plan.to_string();
        said(what, Box::new(move || run(project, plan.clone())))
    };
    match kind {
        Kind::Refresh => {
            let request = request(person, &names);
            let what = format!("refresh {request:?}");
            let take = move || refresh::refresh(&open(project)?, &request).map(drop);
            said(what, Box::new(take))
        }
        Kind::Edit => {
            let name = person
                .random
                .pick(&names)
                .cloned()
                .unwrap_or("fused".into());
            let what = format!("edit {name}");
            said(what, Box::new(move || open(project)?.edit(&name).map(drop)))
        }
        Kind::Reorder => {
            let mut order = names;
            for at in (1..order.len()).rev() {
                let other = person.random.below(at + 1);
                order.swap(at, other);
            }
            planned(Plan::Reorder { order })
        }
        Kind::Drop => {
            let features = person.random.pick(&names).cloned().into_iter().collect();
            planned(Plan::Drop { features })
        }
        Kind::Import => planned(Plan::Import(import(person, &names))),
        Kind::Export => planned(Plan::Export),
        Kind::Bump => {
            let pin = PINS[person.random.below(PINS.len())];
            planned(bump(project, pin))
        }
        Kind::Resume => said("continue".into(), Box::new(move || resume(project))),
        Kind::Skip => said(
            "skip".into(),
            Box::new(move || open(project)?.skip().map(drop)),
        ),
        Kind::Abort => said(
            "abort".into(),
            Box::new(move || open(project)?.abort().map(drop)),
        ),
        Kind::Undo => said(
            "undo".into(),
            Box::new(move || open(project)?.undo().map(drop)),
        ),
        Kind::Redo => said(
            "redo".into(),
            Box::new(move || open(project)?.redo().map(drop)),
        ),
        Kind::Keep => said(
            "edits keep".into(),
            Box::new(move || {
                let _held = open(project)?;
                edits::keep(&project.layout).map(drop)
            }),
        ),
        Kind::Show => said(
            "setup-mlx".into(),
            Box::new(move || {
                let _held = open(project)?;
                let fork = compose(&project.layout)?;
                checkout::fork(&project.layout, &fork).map(drop)
            }),
        ),
    }
}

/// A bump to one of the world's pins.
pub fn bump(project: &Project, pin: &str) -> Plan {
    let repo = Repository::open(project.layout.mlx_local()).unwrap();
    let commit = repo
        .refname_to_id(&format!("refs/mlx-fork/pins/{pin}"))
        .unwrap();
    Plan::Bump(Onto {
        pin: pin.into(),
        commit: commit.to_string(),
        files: BTreeMap::new(),
    })
}

/// Answers to what a refresh would ask, most of the time.
fn request(person: &mut Person<'_>, names: &[String]) -> Request {
    let mut request = Request::default();
    if person.random.chance(15) {
        return request;
    }
    let project = person.project;
    if !matches!(session(project), Some(Session::Edit { .. })) {
        request.into = person.random.pick(names).cloned();
    }
    let repo = mlx_fork::git::survey::open(&project.layout).unwrap();
    let shown = repo.refname_to_id("refs/mlx-fork/fork").unwrap();
    let tree = repo.find_commit(shown).unwrap().tree().unwrap();
    let series = series::load(&project.layout).ok();
    let disk = local(&project.layout);
    for path in disk
        .keys()
        .filter(|path| tree.get_path(Path::new(path)).is_err())
    {
        match person.random.below(4) {
            0 => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let source = format!("mlx_primitives/{name}");
                request.own.insert(path.clone(), source);
            }
            1 => drop(request.hook.insert(path.clone())),
            _ => {}
        }
    }
    for file in series
        .iter()
        .flat_map(|s| &s.features)
        .flat_map(|f| &f.overlay)
    {
        if !disk.contains_key(&file.target)
            && tree.get_path(Path::new(&file.target)).is_ok()
            && person.random.chance(60)
        {
            request.remove.insert(file.target.clone());
        }
    }
    request
}

/// Somebody's change of a pin or of the fork, as commits in `mlx_local`.
fn import(person: &mut Person<'_>, names: &[String]) -> Imported {
    let project = person.project;
    let repo = mlx_fork::git::survey::open(&project.layout).unwrap();
    let from = match person.random.chance(70) {
        true => "refs/mlx-fork/fork",
        false => "refs/mlx-fork/pins/base",
    };
    let from = repo.find_reference(from).unwrap().peel_to_commit().unwrap();
    let tree = from.tree().unwrap();
    let mut changed = BTreeMap::new();
    let mut own = BTreeMap::new();
    for _ in 0..=person.random.below(2) {
        let mark = person.marks.new_one();
        let paths = [
            "mlx/export.cpp",
            "mlx/crlf.h",
            "mlx/ops.cpp",
            "mlx/CMakeLists.txt",
        ];
        if person.random.chance(60) {
            let path = *person.random.pick(&paths).unwrap();
            let old = tree.get_path(Path::new(path)).ok();
            let old = old.and_then(|e| repo.find_blob(e.id()).ok());
            let old = old.map(|blob| blob.content().to_vec()).unwrap_or_default();
            let content = person.edited(&old, &mark);
            changed.insert(path.to_string(), repo.blob(&content).unwrap());
        } else {
            let path = format!("mlx/more/{}.h", person.random.below(3));
            let id = repo.blob(format!("// {mark}\r\n").as_bytes()).unwrap();
            changed.insert(path.clone(), id);
            if person.random.chance(60) {
                let name = path.rsplit('/').next().unwrap_or_default().to_string();
                own.insert(path, format!("mlx_primitives/more/{name}"));
            }
        }
    }
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, id) in changed {
        update.upsert(path, id, git2::FileMode::Blob);
    }
    let new = update.create_updated(&repo, &tree).unwrap();
    let new = repo.find_tree(new).unwrap();
    let who = from.author();
    let to = repo
        .commit(None, &who, &who, "theirs\n", &new, &[&from])
        .unwrap();
    let name = ["more", "extra", "fused"][person.random.below(3)].to_string();
    Imported {
        features: vec![NewFeature {
            head: head(&name).to_string(),
            name,
            from: from.id().to_string(),
            to: to.to_string(),
            own,
        }],
        after: person
            .random
            .pick(names)
            .cloned()
            .filter(|_| person.random.chance(50)),
    }
}

/// Each patch written anew, read and applied: the same tree, and the same bytes again.
pub fn export_and_import(project: &Project) -> Result<()> {
    use mlx_fork::git::stack;
    let mut series = series::load(&project.layout)?;
    let repo = mlx_fork::git::survey::open(&project.layout)?;
    let pin = repo.refname_to_id(&format!("refs/mlx-fork/pins/{}", series.base));
    let pin = pin.doing(|| "finding the pin".into())?;
    let fork = series::compose(&project.layout, &series, &pin.to_string())?;
    let (exact, _) = stack::exactly(&repo, &series, pin)?;
    let mut texts = Vec::new();
    for (layer, feature) in series.features.iter_mut().enumerate() {
        let written = stack::export_layer(&exact, layer, feature)?;
        feature.patch = series::Patch::parse(&written.name, written.bytes.clone())?;
        texts.push(written.bytes);
    }
    let again = series::compose(&project.layout, &series, &pin.to_string())?;
    if again != fork {
        return Err(Error::bug("an exported patch makes something else"));
    }
    let (exact, _) = stack::exactly(&repo, &series, pin)?;
    for (layer, feature) in series.features.iter().enumerate() {
        if stack::export_layer(&exact, layer, feature)?.bytes != texts[layer] {
            return Err(Error::bug(format!(
                "{} is exported in two ways",
                feature.name
            )));
        }
    }
    Ok(())
}

/// Takes the last feature out and imports its commit: the fork is the same.
pub fn drop_and_import_the_last(project: &Project) -> Result<()> {
    let series = series::load(&project.layout)?;
    let fork = compose(&project.layout)?;
    let Some(last) = series.features.last() else {
        return Ok(());
    };
    let commit = Oid::from_str(&fork.id).doing(|| "reading the id of the fork".into())?;
    let parent = {
        let repo = mlx_fork::git::survey::open(&project.layout)?;
        let commit = repo
            .find_commit(commit)
            .doing(|| "reading the fork".into())?;
        commit.parent_id(0).doing(|| "reading the fork".into())?
    };
    run(
        project,
        Plan::Drop {
            features: vec![last.name.clone()],
        },
    )?;
    let own = last
        .overlay
        .iter()
        .map(|file| (file.target.clone(), file.source.clone()));
    let feature = NewFeature {
        name: last.name.clone(),
        head: last.patch.header.to_string(),
        from: parent.to_string(),
        to: commit.to_string(),
        own: own.collect(),
    };
    run(
        project,
        Plan::Import(Imported {
            features: vec![feature],
            after: None,
        }),
    )?;
    let again = compose(&project.layout)?;
    if again.id != fork.id {
        return Err(Error::bug(
            "the imported feature is another than the one that was dropped",
        ));
    }
    Ok(())
}
