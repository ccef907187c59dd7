//! The tools that upstream formats its sources with, by its own list of them
//! (`.pre-commit-config.yaml`). Not a reader of YAML: of the one shape that such a list has.

use regex::Regex;

use crate::error::{Error, Result};

/// One hook of the list.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Its name: `clang-format`.
    pub id: String,
    /// The version: its repository's tag without a `v`.
    pub version: String,
    /// Arguments that upstream gives it.
    pub args: Vec<String>,
    /// Which files it is for, where upstream says so.
    pub files: Option<Regex>,
}

/// A hook that this tool knows how to run.
#[derive(Debug)]
struct Known {
    id: &'static str,
    /// The package on PyPI.
    package: &'static str,
    /// Endings of the files that it takes where upstream doesn't say.
    endings: &'static [&'static str],
}

const KNOWN: &[Known] = &[
    Known {
        id: "clang-format",
        package: "clang-format",
        // The types that the hook's repository names; of those, the ones that MLX has.
        endings: &[".h", ".hpp", ".c", ".cpp", ".cu", ".cuh", ".metal"],
    },
    Known {
        id: "black",
        package: "black",
        endings: &[".py", ".pyi"],
    },
    Known {
        id: "isort",
        package: "isort",
        endings: &[".py", ".pyi"],
    },
    Known {
        id: "cmake-format",
        package: "cmakelang",
        endings: &["CMakeLists.txt", ".cmake"],
    },
];

impl Hook {
    fn known(&self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.id == self.id)
    }

    /// What brings it from PyPI; `None` for one that this tool doesn't know.
    pub fn requirement(&self) -> Option<String> {
        let known = self.known()?;
        Some(format!("{}=={}", known.package, self.version))
    }

    /// True where upstream runs it over the file at `path`.
    pub fn takes(&self, path: &str) -> bool {
        let ends = |known: &Known| known.endings.iter().any(|end| path.ends_with(end));
        self.known().is_some_and(ends)
            && self.files.as_ref().is_none_or(|files| files.is_match(path))
    }
}

/// Reads the list.
///
/// # Errors
/// [`crate::Kind::Usage`] where it has another shape, naming the line.
pub fn read(text: &str) -> Result<Vec<Hook>> {
    let mut hooks: Vec<Hook> = Vec::new();
    let (mut version, mut in_args) = (String::new(), false);
    for (number, line) in text.lines().enumerate() {
        let shape = |what: &str| {
            Error::usage(format!(
                "line {} of the list of hooks {what}: {line}",
                number + 1
            ))
        };
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = line.strip_prefix('-').map(str::trim);
        if let (true, Some(entry), false) = (in_args, entry, is_field(entry.unwrap_or_default())) {
            let hook = hooks
                .last_mut()
                .ok_or_else(|| shape("belongs to no hook"))?;
            hook.args.push(unquoted(entry).into());
            continue;
        }
        in_args = false;
        let Some((key, value)) = entry.unwrap_or(line).split_once(':') else {
            return Err(shape("says nothing that is known"));
        };
        let value = unquoted(value.trim());
        match key.trim() {
            "rev" => version = value.trim_start_matches('v').to_string(),
            "id" => hooks.push(Hook {
                id: value.into(),
                version: version.clone(),
                args: Vec::new(),
                files: None,
            }),
            "args" => {
                let hook = hooks
                    .last_mut()
                    .ok_or_else(|| shape("belongs to no hook"))?;
                let inline = value.trim_start_matches('[').trim_end_matches(']');
                let words = inline.split(',').map(|word| unquoted(word.trim()));
                hook.args = words.filter(|w| !w.is_empty()).map(String::from).collect();
                in_args = true;
            }
            "files" => {
                let files = Regex::new(value).map_err(|e| shape(&e.to_string()))?;
                let hook = hooks
                    .last_mut()
                    .ok_or_else(|| shape("belongs to no hook"))?;
                hook.files = Some(files);
            }
            "repos" | "repo" | "hooks" => {}
            other => {
                // A setting that changes what a hook does must not pass unseen.
                return Err(shape(&format!(
                    "has the setting `{other}`, which is not known"
                )));
            }
        }
    }
    match hooks.iter().any(|hook| hook.version.is_empty()) {
        true => Err(Error::usage("a hook of the list has no version")),
        false => Ok(hooks),
    }
}

/// `id: black`, and not an argument such as `--profile=black`.
fn is_field(entry: &str) -> bool {
    ["id:", "repo:", "rev:", "hooks:", "args:", "files:"]
        .iter()
        .any(|field| entry.starts_with(field))
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "repos:\n-   repo: https://example.org/mirrors-clang-format\n    rev: v21.1.8\n    hooks:\n    -   id: clang-format\n        files: \\.(h|cpp)$\n# A comment.\n-   repo: https://example.org/isort\n    rev: 7.0.0\n    hooks:\n    -   id: isort\n        args:\n            - --profile=black\n- repo: https://example.org/others\n  rev: v6.0.0\n  hooks:\n    - id: check-yaml\n    # - id: end-of-file-fixer\n";

    #[test]
    fn hooks_are_read_with_version_arguments_and_files() {
        let hooks = read(LIST).unwrap();
        let ids: Vec<&str> = hooks.iter().map(|hook| hook.id.as_str()).collect();
        assert_eq!(ids, ["clang-format", "isort", "check-yaml"]);
        assert_eq!(hooks[0].requirement().unwrap(), "clang-format==21.1.8");
        assert!(hooks[0].takes("mlx/ops.cpp") && !hooks[0].takes("mlx/a.metal"));
        assert_eq!(hooks[1].args, ["--profile=black"]);
        assert!(hooks[2].requirement().is_none());
    }

    #[test]
    fn without_a_pattern_the_hook_takes_the_files_of_its_language() {
        let list = LIST.replace("        files: \\.(h|cpp)$\n", "");
        let hooks = read(&list).unwrap();
        assert!(hooks[0].takes("mlx/a.metal") && !hooks[0].takes("a.py"));
    }

    #[test]
    fn a_setting_that_is_not_known_is_an_error_that_names_its_line() {
        let list = LIST.replace("files:", "exclude:");
        let error = read(&list).unwrap_err();
        assert!(error.what().starts_with("line 6"), "{error}");
    }
}
