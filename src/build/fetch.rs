//! The last rule for a third-party source: what upstream's FetchContent would fetch, fetched
//! by cmake's own FetchContent, kept under target/ and there for every later build.

use std::path::PathBuf;
use std::time::Duration;

use super::declared::Declared;
use super::sources::quoted;
use super::tools::Tools;
use crate::error::{Doing, Result, writing};
use crate::layout::Layout;
use crate::process::{Command, last_lines};

/// Fetches; after one failure it asks for nothing more, since they fail for one reason.
#[derive(Debug)]
pub struct Fetcher<'a> {
    layout: &'a Layout,
    tools: &'a Tools,
    failed: bool,
}

impl<'a> Fetcher<'a> {
    /// One that has not been refused yet.
    pub fn new(layout: &'a Layout, tools: &'a Tools) -> Self {
        Fetcher {
            layout,
            tools,
            failed: false,
        }
    }

    /// The folder of a declared source, fetched unless it is there; or why it can't be had.
    /// `marker` is a file that a whole folder has.
    pub fn fetch(&mut self, declared: &Declared, marker: &str) -> Result<Result<PathBuf, String>> {
        let name = format!("{}-{}", declared.name, declared.version);
        let folder = self.layout.third_party().join("fetched").join(&name);
        // It got its name by a rename, so it is whole.
        if folder.join(marker).is_file() {
            return Ok(Ok(folder));
        }
        if self.failed {
            return Ok(Err("not tried, as the one before failed".into()));
        }
        let scratch = self.layout.scratch().join(format!("fetch-{name}"));
        let fetched = self.populate(declared, &scratch, &name);
        let outcome = match fetched {
            Ok(source) if source.join(marker).is_file() => {
                let parent = folder.parent().unwrap_or(&folder);
                std::fs::create_dir_all(parent).doing(writing(parent))?;
                std::fs::rename(&source, &folder).doing(writing(&folder))?;
                Ok(folder)
            }
            Ok(_) => Err(format!("what came has no {marker}")),
            Err(why) => Err(why),
        };
        self.failed = outcome.is_err();
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)
                .doing(|| format!("removing {}", scratch.display()))?;
        }
        Ok(outcome)
    }

    fn populate(
        &self,
        declared: &Declared,
        scratch: &PathBuf,
        name: &str,
    ) -> std::result::Result<PathBuf, String> {
        let failed = |e: std::io::Error| format!("writing {}: {e}", scratch.display());
        if scratch.exists() {
            std::fs::remove_dir_all(scratch).map_err(failed)?;
        }
        std::fs::create_dir_all(scratch).map_err(failed)?;
        let source = scratch.join("source");
        let arguments: Vec<String> = declared
            .arguments
            .iter()
            .filter(|word| *word != "EXCLUDE_FROM_ALL")
            .map(|word| format!("[==[{word}]==]"))
            .collect();
        let script = format!(
            "set(CMAKE_GENERATOR Ninja)\nset(CMAKE_MAKE_PROGRAM {ninja})\n\
             include(FetchContent)\n\
             FetchContent_Populate({name} {arguments} QUIET SOURCE_DIR {source} \
             SUBBUILD_DIR {subbuild} BINARY_DIR {binary})\n",
            ninja = quoted(&self.tools.ninja.path),
            name = declared.name,
            arguments = arguments.join(" "),
            source = quoted(&source),
            subbuild = quoted(&scratch.join("subbuild")),
            binary = quoted(&scratch.join("binary")),
        );
        let file = scratch.join("fetch.cmake");
        std::fs::write(&file, script).map_err(failed)?;
        let output = Command::new(&self.tools.cmake.path)
            .arg("-P")
            .arg(&file)
            .current_dir(scratch)
            .env("GIT_TERMINAL_PROMPT", "0")
            .limit(Duration::from_secs(180))
            .log(self.layout.logs().join(format!("fetch-{name}.log")))
            .output()
            .map_err(|e| e.to_string())?;
        if output.success() {
            return Ok(source);
        }
        let said = format!("{}\n{}", output.stdout, output.stderr);
        // The line that says why, out of the pages that cmake writes around it.
        let why = ["fatal:", "Could not resolve", "error: "]
            .iter()
            .find_map(|mark| said.lines().find(|line| line.contains(mark)))
            .map(|line| line.trim().to_string());
        Err(why.unwrap_or_else(|| format!("{}\n{}", output.ending(), last_lines(&said, 5))))
    }
}
