//! Errors that say what was being done, what went wrong and what to do now.
//!
//! Every error has a [`Kind`], and the kind is the exit code of the command.

use std::fmt;
use std::path::Path;

/// What an error means to the one who called; the discriminant is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bug of ours.
    Bug = 1,
    /// Wrong use: an argument, a configuration file, a patch that is malformed.
    Usage = 2,
    /// A conflict that needs a person's decision.
    Conflict = 3,
    /// A gate failed: parity, probe or tests.
    Gate = 4,
    /// The environment lacks something.
    Environment = 5,
    /// The network or a mirror failed.
    Mirror = 6,
}

impl Kind {
    /// The process exit code of this kind.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// An error of this library.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    what: String,
    doing: Vec<String>,
    hints: Vec<String>,
}

/// The result of everything fallible here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind; `what` says what is wrong.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error {
            kind,
            what: what.into(),
            doing: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Exit code 1.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Kind::Bug, what)
    }
    /// Exit code 2.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }
    /// Exit code 3.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, what)
    }
    /// Exit code 4.
    pub fn gate(what: impl Into<String>) -> Self {
        Self::new(Kind::Gate, what)
    }
    /// Exit code 5.
    pub fn environment(what: impl Into<String>) -> Self {
        Self::new(Kind::Environment, what)
    }
    /// Exit code 6.
    pub fn mirror(what: impl Into<String>) -> Self {
        Self::new(Kind::Mirror, what)
    }

    /// Adds what was being done, outermost last: "building the fork".
    #[must_use]
    pub fn doing(mut self, doing: impl Into<String>) -> Self {
        self.doing.push(doing.into());
        self
    }

    /// Adds what to do now, a whole sentence or a command.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error, meaning something else to the caller: who knows whose fault it is.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What the error means to the caller.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong, without what was being done.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What was being done, innermost first.
    pub fn context(&self) -> &[String] {
        &self.doing
    }

    /// What to do now.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doing in self.doing.iter().rev() {
            write!(f, "{doing}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

/// Turns foreign errors into ours at the place where it is known what was being done.
pub trait Doing<T> {
    /// Names what was being done. A foreign error becomes [`Kind::Environment`].
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.doing(doing()))
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| {
            let error = Error::environment(e.to_string()).doing(doing());
            match e.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    error.hint("free some disk space and run the same command again")
                }
                std::io::ErrorKind::FileTooLarge => {
                    error.hint("raise `ulimit -f` and run the same command again")
                }
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    error.hint("make the folder writable (or the file readable) for this user and run again")
                }
                _ => error,
            }
        })
    }
}

/// A file of the project that can't be read: wrong use of the project, with its way out.
pub fn project_file(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::usage(format!("{} is missing", path.display()))
            .hint(
                "it belongs to the project: `git status` says whether it was removed by accident",
            ),
        _ => Error::environment(e.to_string()).doing(format!("reading {}", path.display())),
    }
}

/// `reading PATH`, for [`Doing::doing`].
pub fn reading(path: &Path) -> impl FnOnce() -> String + '_ {
    move || format!("reading {}", path.display())
}

/// `writing PATH`, for [`Doing::doing`].
pub fn writing(path: &Path) -> impl FnOnce() -> String + '_ {
    move || format!("writing {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [
            (Kind::Bug, 1),
            (Kind::Usage, 2),
            (Kind::Conflict, 3),
            (Kind::Gate, 4),
            (Kind::Environment, 5),
            (Kind::Mirror, 6),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.exit_code(), code);
        }
    }

    #[test]
    fn context_reads_from_the_outside_in() {
        let error = Error::usage("no such pin 'x'")
            .doing("reading fork.toml")
            .doing("setting up");
        assert_eq!(
            error.to_string(),
            "setting up: reading fork.toml: no such pin 'x'"
        );
    }
}
