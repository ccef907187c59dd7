//! Answers to conflicts, kept in the project and given again where the same conflict comes
//! back: one file of `patches/resolutions/` each, for one place of one file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Doing, Error, Result, reading};
use crate::git::merge::{Conflict, Part};

/// All answers of a project.
#[derive(Debug, Clone, Default)]
pub struct Resolutions {
    known: BTreeMap<String, Resolution>,
}

/// One answer, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The file in MLX's tree.
    pub path: String,
    /// The lines that were there.
    pub upstream: String,
    /// What the patch was made for.
    pub base: String,
    /// What the patch makes of them.
    pub patch: String,
    /// What a person decided.
    pub resolved: String,
}

impl Resolution {
    /// Of a conflict; `None` where it is no text.
    fn of(path: &str, conflict: &Conflict, resolved: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Resolution {
            path: path.into(),
            upstream: text(&conflict.ours)?,
            base: text(&conflict.base)?,
            patch: text(&conflict.theirs)?,
            resolved: text(resolved)?,
        })
    }

    /// Of all places of a file. Places that ask the same and were answered in two ways have no
    /// answer that could be given again.
    pub fn of_file(path: &str, answers: &[(Conflict, Vec<u8>)]) -> Vec<Self> {
        let alike = |conflict: &Conflict, resolved: &Vec<u8>| {
            let mut same = answers.iter().filter(|(other, _)| other == conflict);
            same.all(|(_, other)| other == resolved)
        };
        let clear = answers.iter().filter(|(c, resolved)| alike(c, resolved));
        clear
            .filter_map(|(conflict, resolved)| Self::of(path, conflict, resolved))
            .collect()
    }

    /// The name of its file: what it answers, in hex.
    pub fn name(&self) -> String {
        let texts = [&self.path, &self.upstream, &self.base, &self.patch];
        format!("{}.toml", key(texts.map(|text| text.as_bytes())))
    }

    /// Its file.
    pub fn render(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::bug(e.to_string()))
    }
}

fn key(texts: [&[u8]; 4]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let hex = hash.finalize();
    hex.iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Resolutions {
    /// Reads the folder; one that isn't there holds none.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut known = BTreeMap::new();
        let entries = match std::fs::read_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            entries => entries.doing(reading(folder))?,
        };
        for entry in entries {
            let path = entry.doing(reading(folder))?.path();
            if path.extension().is_none_or(|end| end != "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).doing(reading(&path))?;
            let resolution: Resolution = toml::from_str(&text)
                .map_err(|e| Error::usage(e.to_string().trim_end().to_string()))
                .doing(reading(&path))?;
            // A name that isn't that of its content was edited: what it answers is unclear.
            if path.file_name() != Some(resolution.name().as_ref()) {
                return Err(Error::usage(format!(
                    "its name should be {}: the conflict that it answers was edited by hand",
                    resolution.name()
                ))
                .doing(reading(&path)())
                .hint("change `resolved` only, or delete the file"));
            }
            known.insert(resolution.name(), resolution);
        }
        Ok(Resolutions { known })
    }

    /// Puts answers in the place of the conflicts that have one.
    pub fn replay(&self, path: &str, parts: Vec<Part>) -> Vec<Part> {
        let answer = |part: Part| match part {
            Part::Conflict(conflict) => {
                let name = format!(
                    "{}.toml",
                    key([
                        path.as_bytes(),
                        &conflict.ours,
                        &conflict.base,
                        &conflict.theirs
                    ])
                );
                match self.known.get(&name) {
                    Some(known) => Part::Clear(known.resolved.clone().into_bytes()),
                    None => Part::Conflict(conflict),
                }
            }
            clear => clear,
        };
        parts.into_iter().map(answer).collect()
    }

    /// Adds one, in the place of an older answer to the same conflict.
    pub fn add(&mut self, resolution: Resolution) {
        self.known.insert(resolution.name(), resolution);
    }

    /// All of them, by the names of their files.
    pub fn all(&self) -> &BTreeMap<String, Resolution> {
        &self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(text: &str) -> Conflict {
        Conflict {
            ours: text.into(),
            base: format!("{text}base").into(),
            theirs: format!("{text}theirs").into(),
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written_whatever_its_lines_end_in() {
        for text in [
            "a\r\nb\r\n",
            "a\rb",
            "\n\n a",
            "\"\"\"\n''\\\n",
            "a \t\n",
            "\u{0}\u{7f}",
            "",
            "\r\n",
        ] {
            let answers = [(conflict(text), text.as_bytes().to_vec())];
            let written = Resolution::of_file("f", &answers).pop().unwrap();
            let read: Resolution = toml::from_str(&written.render().unwrap()).unwrap();
            assert_eq!(read, written, "{text:?}");
        }
    }

    #[test]
    fn places_that_ask_the_same_and_were_answered_in_two_ways_keep_no_answer() {
        let answer = |ask: &str, text: &str| (conflict(ask), text.as_bytes().to_vec());
        let answers = [answer("a", "1"), answer("b", "2"), answer("a", "3")];
        let kept = Resolution::of_file("f", &answers);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].resolved, "2");
        let answers = [answer("a", "1"), answer("a", "1")];
        let kept = Resolution::of_file("f", &answers);
        assert!(kept.iter().all(|kept| kept.resolved == "1") && !kept.is_empty());
    }
}
