//! Which third-party sources MLX's own CMake files ask for, read from their text: the versions
//! are upstream's to say, and they change between pins.

use std::path::Path;

use crate::error::{Doing, Error, Result, reading};

/// One `FetchContent_Declare(...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The name, as FetchContent has it.
    pub name: String,
    /// Its arguments, as written, with variables replaced.
    pub arguments: Vec<String>,
    /// `12.1.0`; of a tag, of a URL, or the tag itself where it is no version.
    pub version: String,
}

/// The declarations of MLX's tree.
#[derive(Debug, Clone, Default)]
pub struct Declarations(Vec<Declared>);

/// The CMake files that declare something.
const FILES: [&str; 3] = [
    "CMakeLists.txt",
    "tests/CMakeLists.txt",
    "mlx/io/CMakeLists.txt",
];

impl Declarations {
    /// Reads a tree of MLX.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] where the folder holds no MLX.
    pub fn read(tree: &Path) -> Result<Self> {
        let mut all = Vec::new();
        for (at, file) in FILES.into_iter().enumerate() {
            let path = tree.join(file);
            match std::fs::read_to_string(&path) {
                Ok(text) => all.extend(parse(&text)),
                // Only the first is in every tree.
                Err(e) if at > 0 && e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(e).doing(reading(&path)),
            }
        }
        Ok(Declarations(all))
    }

    /// The declaration of this name.
    pub fn get(&self, name: &str) -> Option<&Declared> {
        self.0.iter().find(|declared| declared.name == name)
    }

    /// The version of this name.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`]: the tree declares nothing of this name.
    pub fn version(&self, name: &str) -> Result<&str> {
        let declared = self.get(name).ok_or_else(|| {
            Error::environment(format!("MLX's CMake files declare no \"{name}\""))
                .doing("reading which third-party sources MLX wants")
        })?;
        Ok(&declared.version)
    }
}

fn parse(text: &str) -> Vec<Declared> {
    let code: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    calls(&code, "FetchContent_Declare")
        .into_iter()
        .filter_map(|words| {
            let (name, rest) = words.split_first()?;
            let arguments: Vec<String> = rest.iter().map(|word| expand(word, &code)).collect();
            let after = |key: &str| {
                let at = arguments.iter().position(|word| word == key)?;
                arguments.get(at + 1)
            };
            let from = after("GIT_TAG").or_else(|| after("URL"))?;
            Some(Declared {
                name: name.clone(),
                version: version_in(from).unwrap_or_else(|| from.clone()),
                arguments,
            })
        })
        .collect()
}

/// The words of every call of one command.
fn calls(code: &str, command: &str) -> Vec<Vec<String>> {
    code.split(&format!("{command}("))
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(inside, _)| {
            let words = inside.split_whitespace();
            words.map(|w| w.trim_matches('"').to_string()).collect()
        })
        .collect()
}

/// Replaces a word that is one variable by what the same file sets it to.
fn expand(word: &str, code: &str) -> String {
    let Some(name) = word.strip_prefix("${").and_then(|w| w.strip_suffix('}')) else {
        return word.to_string();
    };
    calls(code, "set")
        .into_iter()
        .find(|words| words.first().is_some_and(|first| first == name))
        .and_then(|words| words.get(1).cloned())
        .unwrap_or_else(|| word.to_string())
}

/// The first `1.2` or `1.2.3` of a text, or the number after a `_` of a file's name.
fn version_in(text: &str) -> Option<String> {
    let dotted = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|piece| piece.trim_matches('.'))
        .find(|piece| piece.contains('.'));
    let number = || {
        let name = text.rsplit('/').next()?;
        let digits: String = name
            .split_once('_')?
            .1
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        (!digits.is_empty()).then_some(digits)
    };
    dotted.map(str::to_string).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
set(SHADER_URL
    https://example.org/files/shader-cpp_26.zip)
FetchContent_Declare(shader URL ${SHADER_URL})
# FetchContent_Declare(old GIT_REPOSITORY x GIT_TAG v0.1.0)
FetchContent_Declare(
  json
  URL https://example.org/releases/download/v3.11.3/json.tar.xz)
FetchContent_Declare(
    binder
    GIT_REPOSITORY https://example.org/binder.git # its home
    GIT_TAG v2.12.0
    EXCLUDE_FROM_ALL)
FetchContent_Declare(gg GIT_REPOSITORY https://example.org/gg GIT_TAG 8fa6eb65)
"#;

    #[test]
    fn versions_come_from_tags_and_urls() {
        let all = Declarations(parse(TEXT));
        let names: Vec<_> = all.0.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["shader", "json", "binder", "gg"]);
        for (name, version) in [("shader", "26"), ("json", "3.11.3"), ("binder", "2.12.0")] {
            assert_eq!(all.version(name).unwrap(), version);
        }
        assert_eq!(all.version("gg").unwrap(), "8fa6eb65");
        let error = all.version("fmt").unwrap_err();
        assert!(error.what().contains("\"fmt\""), "{error}");
    }

    #[test]
    fn arguments_are_whole_with_variables_replaced_and_comments_gone() {
        let all = Declarations(parse(TEXT));
        let url = "https://example.org/files/shader-cpp_26.zip";
        assert_eq!(all.get("shader").unwrap().arguments, ["URL", url]);
        assert_eq!(all.get("binder").unwrap().arguments.len(), 5);
    }

    #[test]
    fn a_folder_without_mlx_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Declarations::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("CMakeLists.txt"), "{error}");
    }
}
