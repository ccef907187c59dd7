//! Which commits are asked about, and which repository has each: names and ranges become
//! points.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::git::history::{History, Upstream};
use crate::layout::Layout;
use crate::series::Series;

/// What a person asks for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// One range `A..B`, or pins, tags, branches and ids; none: all pins.
    pub names: Vec<String>,
    /// A clone with history.
    pub history: Option<PathBuf>,
}

/// A commit, and where it is.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// What it was asked for as; `None` inside a range.
    pub name: Option<String>,
    /// The commit.
    #[serde(flatten)]
    pub upstream: Upstream,
    /// The repository that has it.
    #[serde(skip)]
    pub repository: PathBuf,
}

/// The commits to look at.
#[derive(Debug, Clone)]
pub struct Commits {
    /// The pin that the series is made for.
    pub base: Point,
    /// What was asked for, in the order of a range, or of the names.
    pub points: Vec<Point>,
    /// The commit that a range begins after: what is broken there wasn't broken in the range.
    pub before: Option<Point>,
    /// True for a range: one commit follows another, so something can break and heal.
    pub is_range: bool,
    /// Pins that no repository at hand has, when all were asked for.
    pub absent: Vec<String>,
}

impl Commits {
    /// Finds them: in the history where there is one, in `mlx_local`.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for what means nothing, or what needs `--history`.
    pub fn find(
        layout: &Layout,
        config: &Config,
        series: &Series,
        wanted: &Wanted,
    ) -> Result<Self> {
        let places = Places::open(layout, wanted)?;
        let base = config.pin(&series.base)?;
        let base = places.commit(&base.commit, &base.name)?.ok_or_else(|| {
            places.lacking(&format!(
                "the pin {} that the series is made for",
                series.base
            ))
        })?;
        let mut found = Commits {
            base,
            points: Vec::new(),
            before: None,
            is_range: false,
            absent: Vec::new(),
        };
        match wanted.names.as_slice() {
            [] => {
                for (name, pin) in &config.pins {
                    match places.commit(&pin.commit, name)? {
                        Some(point) => found.points.push(point),
                        None => found.absent.push(name.clone()),
                    }
                }
                let date = |point: &Point| point.upstream.date.clone();
                found.points.sort_by_key(date);
            }
            [range] if range.contains("..") => {
                let (before, points) = places.range(config, range)?;
                (found.before, found.points) = (Some(before), points);
                found.is_range = true;
            }
            names => {
                for name in names {
                    found.points.push(places.named(config, name)?);
                }
            }
        }
        Ok(found)
    }
}

/// The repositories at hand, the history first.
struct Places {
    all: Vec<History>,
    has_history: bool,
}

impl Places {
    fn open(layout: &Layout, wanted: &Wanted) -> Result<Self> {
        let mut all = Vec::new();
        if let Some(path) = &wanted.history {
            all.push(History::open(path)?);
        }
        let local = layout.mlx_local();
        if local.join(".git").exists() {
            all.push(History::open(&local)?);
        }
        Ok(Places {
            all,
            has_history: wanted.history.is_some(),
        })
    }

    fn commit(&self, id: &str, name: &str) -> Result<Option<Point>> {
        let Some(place) = self.all.iter().find(|place| place.has(id)) else {
            return Ok(None);
        };
        Ok(Some(Point {
            name: Some(name.to_string()),
            upstream: place.upstream(id)?,
            repository: place.path().to_path_buf(),
        }))
    }

    fn id(&self, config: &Config, name: &str) -> Result<String> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || ":*?[\\@{".contains(c);
        if name.contains("..") {
            return Err(Error::usage(format!("{name} is one of several names"))
                .hint("one range OLDER..NEWER, or any number of names"));
        }
        if name.is_empty() || name.starts_with('-') || name.contains(bad) {
            return Err(
                Error::usage(format!("{name:?} is no pin, tag, branch or commit"))
                    .hint("one range OLDER..NEWER, or any number of names"),
            );
        }
        if let Some(pin) = config.pins.get(name) {
            return Ok(pin.commit.clone());
        }
        for place in &self.all {
            if let Some(id) = place.find(name)? {
                return Ok(id);
            }
        }
        Err(self.lacking(&format!("a commit {name}")))
    }

    fn named(&self, config: &Config, name: &str) -> Result<Point> {
        let id = self.id(config, name)?;
        self.commit(&id, name)?
            .ok_or_else(|| self.lacking(&format!("the commit of {name} ({id:.10})")))
    }

    fn range(&self, config: &Config, range: &str) -> Result<(Point, Vec<Point>)> {
        let (from, to) = range.split_once("..").unwrap_or_default();
        if from.is_empty() || to.is_empty() || to.starts_with('.') {
            return Err(Error::usage(format!("{range} is no range of commits"))
                .hint("a range is OLDER..NEWER, and has both of its ends"));
        }
        let (from, to) = (self.id(config, from)?, self.id(config, to)?);
        let has_both = |place: &&History| place.has(&from) && place.has(&to);
        let Some(place) = self.all.iter().find(has_both) else {
            return Err(self.lacking(&format!("{range} with both of its ends")));
        };
        let commits = place
            .range(&from, &to)
            .map_err(|e| match self.has_history {
                true => e,
                false => e.hint(NEEDS_HISTORY),
            })?;
        if commits.is_empty() {
            return Err(Error::usage(format!("there is no commit in {range}"))
                .hint("a range is OLDER..NEWER, and OLDER itself is not in it: OLDER^..NEWER"));
        }
        let point = |upstream| Point {
            name: None,
            upstream,
            repository: place.path().to_path_buf(),
        };
        let before = point(place.upstream(&from)?);
        Ok((before, commits.into_iter().map(point).collect()))
    }

    fn lacking(&self, what: &str) -> Error {
        let places: Vec<String> = self
            .all
            .iter()
            .map(|place| place.path().display().to_string())
            .collect();
        let error = match places.as_slice() {
            [] => Error::usage(format!("there is no mlx_local yet to look for {what} in")),
            places => Error::usage(format!("{what} is not in {}", places.join(" or in "))),
        };
        match self.has_history {
            true => error.hint("that clone may lack it: `git fetch --tags` in it, or name another"),
            false => error.hint(NEEDS_HISTORY),
        }
    }
}

const NEEDS_HISTORY: &str =
    "--history PATH|URL names a clone of MLX with its history; mlx_local has single commits only";
