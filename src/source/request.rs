//! What is asked for: which commit, from which mirror.

use std::path::PathBuf;
use std::str::FromStr;

use crate::config::{Config, Pin};
use crate::error::{Error, Result};

/// Which mirror to ask: `--source auto|git|crate|path:DIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The git remote, then the crate.
    Auto,
    /// The git remote alone.
    Git,
    /// The crate alone.
    Crate,
    /// A local git repository, or a plain folder of files.
    Path(PathBuf),
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "git" => Ok(Self::Git),
            "crate" => Ok(Self::Crate),
            _ => match text.strip_prefix("path:") {
                Some(folder) if !folder.is_empty() => Ok(Self::Path(folder.into())),
                _ => Err(Error::usage(format!(
                    "no source \"{text}\": the sources are auto, git, crate and path:DIR"
                ))),
            },
        }
    }
}

/// Which upstream commit is wanted, and from where.
#[derive(Debug, Clone)]
pub struct Request {
    /// The pin's name; `reference` goes before it.
    pub pin: String,
    /// A tag, branch or commit instead of the pin (`MLX_REF`). A pin's name or commit means
    /// that pin.
    pub reference: Option<String>,
    /// Where upstream's git repository is (`MLX_REPO_URL`, else fork.toml).
    pub url: String,
    /// Which mirror to ask.
    pub choice: Choice,
}

/// What a request comes down to.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Pin(Pin),
    Reference(String),
}

impl Request {
    pub(super) fn wanted(&self, config: &Config) -> Result<Wanted> {
        let Some(reference) = &self.reference else {
            return config.pin(&self.pin).map(Wanted::Pin);
        };
        if config.pins.contains_key(reference) {
            return config.pin(reference).map(Wanted::Pin);
        }
        let bad = |c: char| c.is_whitespace() || c.is_control() || ":*?[\\".contains(c);
        if reference.is_empty() || reference.starts_with(['-', '+']) || reference.contains(bad) {
            return Err(Error::usage(format!(
                "{reference:?} is no name of a tag, branch or commit"
            ))
            .doing("reading MLX_REF"));
        }
        if is_short_id(reference) {
            let mut pins = config
                .pins
                .iter()
                .filter(|(_, pin)| pin.commit.starts_with(&reference.to_ascii_lowercase()));
            if let (Some((name, _)), None) = (pins.next(), pins.next()) {
                return config.pin(name).map(Wanted::Pin);
            }
        }
        Ok(Wanted::Reference(reference.clone()))
    }

    /// The URL, a local path made absolute: children run in other folders.
    pub(super) fn url(&self) -> Result<String> {
        if self.url.is_empty() || self.url.starts_with('-') {
            return Err(
                Error::usage(format!("{:?} is no git URL", self.url)).doing("reading MLX_REPO_URL")
            );
        }
        let path = PathBuf::from(&self.url);
        if self.url.contains("://") || !path.exists() {
            return Ok(self.url.clone());
        }
        let absolute = std::path::absolute(&path).unwrap_or(path);
        Ok(absolute.to_string_lossy().into_owned())
    }
}

/// Seven or more hex digits: what git prints, and people type, for a commit.
pub(super) fn is_short_id(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(reference: &str) -> Result<Wanted> {
        let config = Config::parse(include_str!("../../fork.toml")).unwrap();
        let request = Request {
            pin: config.pin.clone(),
            reference: Some(reference.to_string()),
            url: config.upstream.url.clone(),
            choice: Choice::Auto,
        };
        request.wanted(&config)
    }

    #[test]
    fn a_pins_name_commit_or_abbreviated_commit_means_the_pin() {
        for text in [
            "main-2026-06-20",
            "5abdd04bccdf2b2d78f8923397f57e6c3ab69d15",
            "5abdd04",
            "5ABDD04BCC",
        ] {
            let found = wanted(text).unwrap();
            assert!(
                matches!(&found, Wanted::Pin(pin) if pin.name == "main-2026-06-20"),
                "{text}: {found:?}"
            );
        }
        for text in ["main", "v0.31.1", "5abdd05", "5abdd0"] {
            let found = wanted(text).unwrap();
            assert!(matches!(found, Wanted::Reference(_)), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_name_that_git_would_take_for_something_else_is_refused() {
        for text in [
            "--upload-pack=touch x",
            "+main",
            "a b",
            "a:b",
            "refs/*",
            "a\nb",
        ] {
            assert_eq!(
                wanted(text).unwrap_err().kind(),
                crate::Kind::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn a_source_is_one_of_four() {
        assert_eq!("auto".parse::<Choice>().unwrap(), Choice::Auto);
        assert_eq!(
            "path:a:b".parse::<Choice>().unwrap(),
            Choice::Path("a:b".into())
        );
        for text in ["", "path:", "Git", "http"] {
            assert!(text.parse::<Choice>().is_err(), "{text}");
        }
    }
}
