//! What MLX loads as a library of kernels: a metallib of the emulator's, which lists sources and
//! the kernels that each has, or a source itself, as MLX's JIT writes it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::emulator::Emulator;
use crate::error::{Doing, Error, Result, reading};
use crate::layout::Layout;

/// The first line of a metallib of ours; metal/emulator/host knows it too.
const FIRST_LINE: &str = "metallib of sources 1";

/// A source of a library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Where its headers are looked for.
    pub include: Vec<PathBuf>,
    /// The file.
    pub path: PathBuf,
    /// Its kernels; `None` where nobody has listed them.
    kernels: Option<Vec<String>>,
}

impl Source {
    /// An emulator that finds its headers.
    ///
    /// # Errors
    /// As [`Emulator::new`].
    pub fn emulator(&self, layout: &Layout) -> Result<Emulator> {
        let emulator = Emulator::new(layout)?;
        let folders = self.include.iter().rev();
        Ok(folders.fold(emulator, Emulator::include))
    }

    /// False where its list of kernels lacks this one.
    pub fn may_have(&self, kernel: &str) -> bool {
        let listed = self.kernels.as_ref();
        listed.is_none_or(|names| names.iter().any(|name| name == kernel))
    }
}

/// True for a source by its name.
pub fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "metal")
}

/// Reads a library: its sources.
///
/// # Errors
/// [`crate::Kind::Usage`] where the file is none.
pub fn read(path: &Path) -> Result<Vec<Source>> {
    if is_source(path) {
        return Ok(vec![Source {
            path: path.into(),
            ..Source::default()
        }]);
    }
    let text = std::fs::read_to_string(path).doing(reading(path))?;
    parse(&text).doing(|| format!("reading {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Source>> {
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(Error::usage("it is no metallib of the emulator's")
            .hint("one of Apple's compiler holds no source, and nothing that runs here"));
    }
    let mut sources: Vec<Source> = Vec::new();
    let mut include = Vec::new();
    for line in lines {
        match (line.split_once(' '), sources.last_mut()) {
            (Some(("include", folder)), _) => include.push(folder.into()),
            (Some(("source", path)), _) => sources.push(Source {
                include: std::mem::take(&mut include),
                path: path.into(),
                kernels: None,
            }),
            (Some(("kernel", name)), Some(source)) => {
                source.kernels.get_or_insert_default().push(name.into());
            }
            _ => return Err(Error::usage(format!("'{line}' is no line of a metallib"))),
        }
    }
    Ok(sources)
}

/// A metallib of these sources with their kernels listed, as it will be where the folder `from`
/// has become `to`.
///
/// # Errors
/// As [`Emulator::read`], for each source.
pub fn indexed(layout: &Layout, sources: &[Source], from: &Path, to: &Path) -> Result<String> {
    let mut text = format!("{FIRST_LINE}\n");
    let moved = |path: &Path| match path.strip_prefix(from) {
        Ok(rest) => to.join(rest),
        Err(_) => path.into(),
    };
    for source in sources {
        let emulator = source.emulator(layout)?;
        let program = emulator.read(source.path.as_path())?;
        // Writing to a string can't fail.
        for folder in &source.include {
            let _ = writeln!(text, "include {}", moved(folder).display());
        }
        let _ = writeln!(text, "source {}", moved(&source.path).display());
        for kernel in program.kernels() {
            let _ = writeln!(text, "kernel {}", kernel.name);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metallib_says_which_source_has_a_kernel() {
        let text = "metallib of sources 1\ninclude /a\nsource /a/x.metal\nkernel x1\nkernel x2\n\
                    include /a\nsource /a/y.metal\nkernel y\n";
        let sources = parse(text).unwrap();
        let with = |name: &str| -> Vec<_> {
            let found = sources.iter().filter(|source| source.may_have(name));
            found.map(|source| source.path.to_str().unwrap()).collect()
        };
        assert_eq!(with("x2"), ["/a/x.metal"]);
        assert_eq!(with("y"), ["/a/y.metal"]);
        assert!(with("z").is_empty());
        assert_eq!(sources[1].include, [PathBuf::from("/a")]);
    }

    #[test]
    fn a_source_that_nobody_listed_may_have_any_kernel() {
        let sources = parse("metallib of sources 1\nsource /a/x.metal\n").unwrap();
        assert!(sources[0].may_have("x"));
        assert!(read(Path::new("/j/123.metal")).unwrap()[0].may_have("x"));
    }

    #[test]
    fn other_files_are_no_metallibs() {
        for text in ["MTLB\u{1}", "", "metallib of sources 1\nkernel x\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
