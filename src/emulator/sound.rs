//! Launches that can't be, whatever the kernel does: refused before anything runs.

use crate::error::{Error, Result};

use super::launch::{Launch, MOST_BYTES};

/// The most threads, or threadgroups, of a grid; nobody waits for as many.
const MOST_THREADS: u128 = 1 << 40;

impl Launch<'_> {
    /// # Errors
    /// [`crate::Kind::Usage`] with what is wrong.
    pub(super) fn sound(&self) -> Result<()> {
        let mut indices: Vec<u32> = self.bindings.iter().map(|b| b.index).collect();
        indices.sort_unstable();
        if let Some(twice) = indices.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::usage(format!("buffer {} is bound twice", twice[0])));
        }
        if let Some(name) = &self.unknown {
            let names: Vec<&str> = self
                .kernel
                .constants
                .iter()
                .map(|c| c.name.as_str())
                .collect();
            return Err(
                Error::usage(format!("there is no function constant '{name}'"))
                    .hint(format!("the source has {}", names.join(", "))),
            );
        }
        if self.groups.is_some() == self.grid.is_some() {
            return Err(Error::usage(
                "a launch has either threadgroups or threads of the grid",
            ));
        }
        let given = self.constants.iter().map(|(index, _)| *index);
        let is_there = |index: &u64| self.kernel.constants.iter().any(|c| c.index == *index);
        if let Some(index) = given.into_iter().find(|index| !is_there(index)) {
            let all = self.kernel.constants.iter();
            let all: Vec<String> = all.map(|c| format!("{} ({})", c.index, c.name)).collect();
            return Err(
                Error::usage(format!("there is no function constant {index}"))
                    .hint(format!("the source has {}", all.join(", "))),
            );
        }
        let of = |size: [u32; 3]| size.iter().map(|n| u128::from(*n)).product::<u128>();
        let threads = of(self.group);
        if threads == 0 || threads > 1024 {
            return Err(Error::usage(format!(
                "a threadgroup has 1 to 1024 threads, not {threads}"
            )));
        }
        let (size, each) = match (self.groups, self.grid) {
            (Some(groups), _) => (groups, self.group),
            (None, grid) => (grid.unwrap_or([1; 3]), [1; 3]),
        };
        let axes = size.iter().zip(each);
        let mut threads = axes.map(|(n, each)| u64::from(*n) * u64::from(each));
        if threads.any(|threads| threads > u64::from(u32::MAX)) || of(size) > MOST_THREADS {
            return Err(Error::usage(format!(
                "a grid of {size:?} {} is too large: it has at most {} threads in a direction, \
                 and {MOST_THREADS} of either in all",
                ["threads", "threadgroups"][usize::from(self.groups.is_some())],
                u32::MAX
            )));
        }
        let bytes = self.bindings.iter().map(|binding| binding.contents.bytes());
        if let Some(bytes) = bytes.into_iter().find(|bytes| *bytes > MOST_BYTES) {
            return Err(Error::usage(format!(
                "a buffer has at most {MOST_BYTES} bytes, not {bytes}"
            )));
        }
        Ok(())
    }
}
