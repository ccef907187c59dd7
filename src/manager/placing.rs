//! Places somebody's changes on the series: new files become the project's own, changes of
//! upstream's files become hooks. What can't be placed is told whole, and nothing is made of
//! the rest.

use std::collections::BTreeMap;

use crate::error::{Doing, Error, Result, reading};
use crate::git::compose;
use crate::git::draft::{Draft, File, Found};
use crate::git::place::{self, Misfit};
use crate::git::stack;
use crate::git::{Repository, merge};
use crate::manager::import::{Imported, NewFeature};
use crate::manager::incoming::{Incoming, Placed, Request};
use crate::manager::{Manager, fragments, id, plan};
use crate::series::header::Header;
use crate::series::patch::{Action, FilePatch};
use crate::series::{self, Feature};

/// The features that the changes make.
///
/// # Errors
/// [`crate::Kind::Conflict`] with all hunks that have no place.
pub fn place_all(
    manager: &Manager<'_>,
    request: &Request,
    incoming: &[Incoming],
    placed: &mut Placed,
) -> Result<Imported> {
    let repo = &manager.repo;
    let series = series::load(manager.layout)?;
    let pin = manager.pin(&series.base)?;
    let count = match &request.after {
        Some(name) => plan::position(series.features.iter().map(|f| f.name.as_str()), name)? + 1,
        None => series.features.len(),
    };
    let mut below = series.clone();
    below.features.truncate(count);
    let (mut draft, misfits) = stack::exactly(repo, &below, pin)?;
    stack::refuse(&misfits, &format!("the pin {}", series.base))?;
    let clone = match &request.commits {
        Some((clone, _)) => Some(crate::git::open(clone).doing(reading(clone))?),
        None => None,
    };
    let mut misfits = Vec::new();
    let mut owned = Vec::new();
    for change in incoming {
        draft.begin();
        let mut own = BTreeMap::new();
        for file in &change.files {
            let placing = Placing {
                series: &series,
                repo,
                clone: clone.as_ref(),
                change,
            };
            placing.file(&mut draft, file, placed, &mut misfits)?;
            split(&mut draft, &series, change, &file.path, &mut own)?;
        }
        placed.own.extend(own.values().cloned());
        owned.push(own);
    }
    stack::refuse(&misfits, "the series").map_err(|error| {
        error.hint("nothing is placed with fuzz: import it with `--from CLONE RANGE` where its commits are at hand (a merge then finds the place), or rebase it onto the pin first")
    })?;
    let heads = incoming.iter().map(|change| Header::parse(&change.head));
    let heads = heads.collect::<Result<Vec<_>>>()?;
    let new = incoming.iter().map(|change| change.name.as_str());
    let all = below.features.iter().map(Feature::head);
    let all = all.chain(new.zip(&heads));
    let fork = compose::commit(repo, &draft, all, pin, false)?;
    let mut at = match count {
        0 => pin.to_string(),
        count => fork.commits[count - 1].id.clone(),
    };
    let mut new = Vec::new();
    for ((change, own), commit) in incoming.iter().zip(owned).zip(&fork.commits[count..]) {
        new.push(NewFeature {
            name: change.name.clone(),
            head: change.head.clone(),
            from: std::mem::replace(&mut at, commit.id.clone()),
            to: commit.id.clone(),
            own,
        });
    }
    Ok(Imported {
        features: new,
        after: request.after.clone(),
    })
}

/// Makes new files, and long runs of new lines, files of the project.
fn split(
    draft: &mut Draft<'_>,
    series: &series::Series,
    change: &Incoming,
    path: &str,
    own: &mut BTreeMap<String, String>,
) -> Result<()> {
    let layer = draft.layers().len() - 1;
    let (before, after) = (draft.find_below(layer, path)?, draft.find(path)?);
    match (before, after) {
        (Found::Nothing, Found::File(_)) => {
            let source = source(series, change, path, own);
            own.insert(path.into(), source);
        }
        (Found::File(before), Found::File(after)) if before != after => {
            let (left, fragments) = fragments::take_out(path, &before, &after, &change.name)?;
            for fragment in fragments {
                let source = source(series, change, &fragment.path, own);
                own.insert(fragment.path.clone(), source);
                let file = File {
                    content: fragment.content,
                    executable: false,
                };
                draft.set(&fragment.path, Some(file));
            }
            draft.set(path, Some(left));
        }
        _ => {}
    }
    Ok(())
}

/// The file of the project for a new file of MLX's tree.
fn source(
    series: &series::Series,
    change: &Incoming,
    path: &str,
    own: &BTreeMap<String, String>,
) -> String {
    let folder = format!("mlx_primitives/{}", change.name);
    let taken = |source: &String| {
        let overlay = series.features.iter().flat_map(|feature| &feature.overlay);
        let mut all = overlay.map(|file| &file.source).chain(own.values());
        // On most Macs names that differ by case are one.
        all.any(|other| other.eq_ignore_ascii_case(source))
    };
    let short = path.strip_prefix("mlx/").unwrap_or(path);
    let names = [short, path].map(|name| format!("{folder}/{name}"));
    let numbered = (2..).map(|number: usize| format!("{folder}/{number}/{path}"));
    let mut names = names.into_iter().chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_default()
}

struct Placing<'a> {
    series: &'a series::Series,
    repo: &'a Repository,
    clone: Option<&'a Repository>,
    change: &'a Incoming,
}

impl Placing<'_> {
    /// Puts one file of a change onto the draft.
    fn file(
        &self,
        draft: &mut Draft<'_>,
        file: &FilePatch,
        placed: &mut Placed,
        misfits: &mut Vec<Misfit>,
    ) -> Result<()> {
        let there = match draft.find(&file.path)? {
            Found::Refused(why) => return Err(Draft::refusal(&file.path, &why)),
            Found::File(there) => Some(there),
            Found::Nothing => None,
        };
        let mut fail = |now: &str| {
            let name = &self.change.name;
            let all = file.hunks.iter();
            misfits.extend(all.map(|hunk| place::misfit(name, file, hunk, now.into())));
        };
        if let Some(own) = self.series.overlay_at(&file.path) {
            fail(&format!(
                "it is no file of upstream's, but {} of the project: make the change there",
                own.source
            ));
            return Ok(());
        }
        match (file.action, there) {
            (Action::Create { executable }, None) => {
                let content = file
                    .hunks
                    .iter()
                    .flat_map(|hunk| hunk.new_lines())
                    .collect::<Vec<_>>();
                let content = content.concat();
                draft.set(
                    &file.path,
                    Some(File {
                        content,
                        executable,
                    }),
                );
            }
            (Action::Create { .. }, Some(_)) => fail("the file is there already"),
            (_, None) => fail("the file isn't there"),
            (action, Some(there)) => match self.content(file, &there, placed)? {
                Ok(content) if action == Action::Delete => {
                    if content.is_empty() {
                        draft.set(&file.path, None);
                    } else {
                        fail("lines of the file would be left");
                    }
                }
                Ok(content) => draft.set(&file.path, Some(File { content, ..there })),
                Err(found) => misfits.extend(found),
            },
        }
        Ok(())
    }

    /// The file after the change: at the lines that it names, at the only place where its
    /// lines stand, or by a merge where the file that it was made from is at hand.
    fn content(
        &self,
        file: &FilePatch,
        there: &File,
        placed: &mut Placed,
    ) -> Result<std::result::Result<Vec<u8>, Vec<Misfit>>> {
        if let Some(base) = self.base(file) {
            let Ok((theirs, _)) = apply(file, &base, &self.change.name) else {
                return Err(Error::usage(format!(
                    "{}: the hunks don't fit the file that the index line names: the diff is damaged",
                    file.path
                )));
            };
            let parts = merge::three_way(&file.path, &base, &there.content, &theirs)?;
            if let Some(content) = merge::clear(&parts) {
                return Ok(Ok(content));
            }
        }
        Ok(
            apply(file, &there.content, &self.change.name).map(|(content, moved)| {
                placed.moved.extend(moved);
                content
            }),
        )
    }

    fn base(&self, file: &FilePatch) -> Option<Vec<u8>> {
        let (old, _) = file.index.as_ref()?;
        let id = id(old).ok()?;
        let mut repos = std::iter::once(self.repo).chain(self.clone);
        repos.find_map(|repo| Some(repo.find_blob(id).ok()?.content().to_vec()))
    }
}

/// The hunks of a file, each at its line or at the only other place where its lines stand.
fn apply(
    file: &FilePatch,
    content: &[u8],
    name: &str,
) -> std::result::Result<(Vec<u8>, Vec<String>), Vec<Misfit>> {
    let lines = place::lines(content);
    let (mut after, mut moved, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = 0;
    for hunk in &file.hunks {
        let old = hunk.old();
        let said = hunk.old_start.saturating_sub(1);
        let places = place::standing(&old, &lines);
        let at = match places[..] {
            _ if places.contains(&(said + 1)) => Some(said),
            [only] => Some(only - 1),
            _ => None,
        };
        match at.filter(|at| *at >= next) {
            Some(at) => {
                if at != said {
                    moved.push(format!(
                        "{name}: {} {} stands at line {}",
                        file.path,
                        hunk.header,
                        at + 1
                    ));
                }
                after.extend_from_slice(&lines[next..at]);
                after.extend(hunk.new_lines());
                next = at + old.len();
            }
            None => {
                let now = match places.len() {
                    0 => place::nearest(&old, &lines, hunk.old_start),
                    n => {
                        format!("its lines stand at {n} places, none of them the one that it names")
                    }
                };
                misfits.push(place::misfit(name, file, hunk, now));
            }
        }
    }
    if !misfits.is_empty() {
        return Err(misfits);
    }
    after.extend_from_slice(&lines[next..]);
    Ok((after.concat(), moved))
}
