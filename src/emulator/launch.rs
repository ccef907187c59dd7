//! One launch of a kernel, in a process of its own: what is bound, how big the grid is, what the
//! emulator may choose; then its buffers and its report. A crash or a hang is a fault in the
//! report.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::build::diagnosis::room;
use crate::error::{Doing, Error, Result, reading, writing};
use crate::process::{Command, Output, last_lines};

use super::compile::Build;
use super::data::{Data, Element, values};
use super::job::{self, Job};
use super::program::Kernel;
use super::report::{Fault, Report};

/// The order in which a SIMD group's reductions add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Reduction {
    /// With lane ^ 16, then 8, 4, 2, 1.
    ButterflyDown = 0,
    /// With lane ^ 1, then 2, 4, 8, 16.
    ButterflyUp = 1,
    /// Lane 0 to 31.
    Forward = 2,
    /// Lane 31 to 0.
    Backward = 3,
}

/// The order in which threads and threadgroups run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Schedule {
    /// By the seed.
    Random,
    /// By their index.
    Forward,
    /// From the last one.
    Reverse,
}

impl Schedule {
    fn name(self) -> &'static str {
        match self {
            Schedule::Random => "random",
            Schedule::Forward => "forward",
            Schedule::Reverse => "reverse",
        }
    }
}

/// What a GPU may choose, and a test must not depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Of all that is random.
    pub seed: u64,
    /// The order of threads.
    pub schedule: Schedule,
    /// The order of reductions.
    pub reduction: Reduction,
    /// True where subnormal float32 numbers are zero.
    pub flush: bool,
    /// OS threads that run threadgroups; more than 1 in plain builds only.
    pub workers: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            schedule: Schedule::Random,
            reduction: Reduction::ButterflyDown,
            flush: false,
            workers: 1,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Contents {
    /// Bytes that the kernel reads.
    Read(Data),
    /// Bytes that it may write too.
    ReadWrite(Data),
    /// So many bytes that nobody has written yet.
    Empty(u64),
    /// What `setBytes` brings.
    Bytes(Data),
}

impl Contents {
    pub fn bytes(&self) -> u64 {
        match self {
            Contents::Empty(bytes) => *bytes,
            Contents::Read(data) | Contents::ReadWrite(data) | Contents::Bytes(data) => {
                data.bytes.len() as u64
            }
        }
    }
}

/// The most bytes of a buffer.
pub(super) const MOST_BYTES: u64 = 16 << 30;

#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub index: u32,
    pub name: String,
    pub contents: Contents,
}

/// A launch that is being described.
#[derive(Debug, Clone)]
pub struct Launch<'k> {
    pub(super) kernel: &'k Kernel<'k>,
    pub(super) bindings: Vec<Binding>,
    pub(super) threadgroup: Vec<(u32, u64)>,
    pub(super) constants: Vec<(u64, Data)>,
    pub(super) unknown: Option<String>,
    pub(super) groups: Option<[u32; 3]>,
    pub(super) grid: Option<[u32; 3]>,
    pub(super) group: [u32; 3],
    settings: Settings,
    coalescing: u32,
    forgiving: bool,
    limit: Duration,
}

/// What a launch came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The bytes of the buffers that the kernel may write, by index.
    pub buffers: BTreeMap<u32, Vec<u8>>,
    /// Faults and counts.
    pub report: Report,
}

impl Outcome {
    /// The values of a buffer; none where the launch wrote none.
    pub fn values<T: Element>(&self, index: u32) -> Vec<T> {
        self.buffers
            .get(&index)
            .map_or_else(Vec::new, |bytes| values(bytes))
    }
}

impl<'k> Launch<'k> {
    /// Nothing bound; one thread.
    pub fn new(kernel: &'k Kernel<'k>) -> Self {
        Launch {
            kernel,
            bindings: Vec::new(),
            threadgroup: Vec::new(),
            constants: Vec::new(),
            unknown: None,
            groups: None,
            grid: None,
            group: [1, 1, 1],
            settings: Settings::default(),
            coalescing: 0,
            forgiving: false,
            limit: Duration::from_secs(300),
        }
    }

    /// Binds a buffer that the kernel only reads. Where the data's type is known, the kernel's
    /// parameter must point to the same.
    #[must_use]
    pub fn buffer(self, index: u32, name: &str, data: impl Into<Data>) -> Self {
        self.bind(index, name, Contents::Read(data.into()))
    }

    /// Binds a buffer that the kernel may write; its bytes come back.
    #[must_use]
    pub fn in_out(self, index: u32, name: &str, data: impl Into<Data>) -> Self {
        self.bind(index, name, Contents::ReadWrite(data.into()))
    }

    /// Binds a buffer of so many bytes that nobody has written; they come back.
    #[must_use]
    pub fn output(self, index: u32, name: &str, bytes: u64) -> Self {
        self.bind(index, name, Contents::Empty(bytes))
    }

    /// Binds bytes that come with the launch (`setBytes`).
    #[must_use]
    pub fn bytes(self, index: u32, name: &str, data: impl Into<Data>) -> Self {
        self.bind(index, name, Contents::Bytes(data.into()))
    }

    /// Binds one value (`setBytes`).
    #[must_use]
    pub fn value<T: Element>(self, index: u32, name: &str, value: T) -> Self {
        self.bytes(index, name, Data::value(value))
    }

    fn bind(mut self, index: u32, name: &str, contents: Contents) -> Self {
        let name = name.to_string();
        self.bindings.push(Binding {
            index,
            name,
            contents,
        });
        self
    }

    /// Sets the size of a `[[threadgroup(index)]]` parameter.
    #[must_use]
    pub fn threadgroup_memory(mut self, index: u32, bytes: u64) -> Self {
        self.threadgroup.push((index, bytes));
        self
    }

    /// Sets a function constant by its index.
    #[must_use]
    pub fn constant(mut self, index: u64, data: impl Into<Data>) -> Self {
        self.constants.push((index, data.into()));
        self
    }

    /// Sets a function constant by its name; a name that the source has not fails the run.
    #[must_use]
    pub fn constant_named(mut self, name: &str, data: impl Into<Data>) -> Self {
        match self.kernel.constants.iter().find(|c| c.name == name) {
            Some(constant) => self.constants.push((constant.index, data.into())),
            None => self.unknown = Some(name.to_string()),
        }
        self
    }

    /// Threadgroups of the grid.
    #[must_use]
    pub fn threadgroups(mut self, groups: [u32; 3]) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Threads of the grid, instead of threadgroups: the last groups may be smaller.
    #[must_use]
    pub fn threads(mut self, threads: [u32; 3]) -> Self {
        self.grid = Some(threads);
        self
    }

    /// Threads of a threadgroup.
    #[must_use]
    pub fn group(mut self, threads: [u32; 3]) -> Self {
        self.group = threads;
        self
    }

    /// What the emulator chooses.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Looks at how so many SIMD groups, the first ones, use memory.
    #[must_use]
    pub fn coalescing(mut self, simdgroups: u32) -> Self {
        self.coalescing = simdgroups;
        self
    }

    /// Takes as no fault what GPUs forgive and kernels of MLX's do: threads that returned are
    /// inactive in SIMD functions, what a function constant leaves out reads as zero, and some
    /// threads may skip a barrier that orders no memory.
    #[must_use]
    pub fn forgiving(mut self, forgiving: bool) -> Self {
        self.forgiving = forgiving;
        self
    }

    /// Ends the launch after this time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for a launch that can't be (no grid, an index twice, a function
    /// constant that the source has not);
    /// [`crate::Kind::Environment`] where the driver can't be made or started. What the kernel
    /// does wrong is in the report.
    pub fn run(&self) -> Result<Outcome> {
        self.sound()
            .doing(|| format!("launching {}", self.kernel.name))?;
        if let Some(report) = self.lacks_constants() {
            let buffers = BTreeMap::new();
            return Ok(Outcome { buffers, report });
        }
        let driver = self.kernel.emulator.driver()?;
        let folder = scratch(self.written())?;
        let job = self.write(folder.path())?;
        let job_file = folder.path().join("job");
        std::fs::write(&job_file, job.text()).doing(writing(&job_file))?;
        let output = Command::new(driver)
            .arg(&job_file)
            .limit(self.limit)
            .output()?;
        let mut report = self.report(&output, &folder.path().join("report.json"))?;
        self.compare(&mut report);
        let mut buffers = BTreeMap::new();
        for binding in &self.bindings {
            let path = folder.path().join(format!("out{}", binding.index));
            if path.is_file() {
                buffers.insert(binding.index, std::fs::read(&path).doing(reading(&path))?);
            }
        }
        Ok(Outcome { buffers, report })
    }

    /// What the launch writes into its folder: the buffers, before and after.
    fn written(&self) -> u64 {
        let bytes = self.bindings.iter().map(|binding| &binding.contents);
        bytes.fold(0, |sum: u64, contents| {
            let times = if matches!(contents, Contents::ReadWrite(_)) {
                2
            } else {
                1
            };
            sum.saturating_add(contents.bytes().saturating_mul(times))
        })
    }

    /// Writes the contents of the buffers, and gives back the job.
    fn write(&self, folder: &Path) -> Result<Job> {
        let mut job = Job::default();
        job.line(&["library", &job::path(&self.kernel.library)]);
        job.line(&["kernel", &job::field(&self.kernel.name)]);
        for binding in &self.bindings {
            let index = binding.index.to_string();
            let name = job::field(&binding.name);
            let (access, data) = match &binding.contents {
                Contents::Bytes(data) => {
                    let hex = crate::build::files::hex(&data.bytes);
                    job.line(&["bytes", &index, &hex, &name]);
                    continue;
                }
                Contents::Read(data) => ("read", Some(data)),
                Contents::ReadWrite(data) => ("read_write", Some(data)),
                Contents::Empty(_) => ("read_write", None),
            };
            let (size, file) = match (data, &binding.contents) {
                (Some(data), _) => {
                    let path = folder.join(format!("in{index}"));
                    std::fs::write(&path, &data.bytes).doing(writing(&path))?;
                    (data.bytes.len() as u64, job::path(&path))
                }
                (None, Contents::Empty(size)) => (*size, "-".into()),
                (None, _) => (0, "-".into()),
            };
            job.line(&["buffer", &index, access, &size.to_string(), &file, &name]);
            if access == "read_write" {
                let path = folder.join(format!("out{index}"));
                job.line(&["output", &index, &job::path(&path)]);
            }
        }
        for (index, bytes) in &self.threadgroup {
            job.line(&["threadgroup", &index.to_string(), &bytes.to_string()]);
        }
        for (index, data) in &self.constants {
            let hex = crate::build::files::hex(&data.bytes);
            job.line(&["constant", &index.to_string(), &hex]);
        }
        if let Some(groups) = self.groups {
            job.triple("groups", groups);
        }
        if let Some(grid) = self.grid {
            job.triple("grid", grid);
        }
        job.triple("group", self.group);
        let settings = &self.settings;
        job.line(&["seed", &settings.seed.to_string()]);
        job.line(&["schedule", settings.schedule.name()]);
        job.line(&["reduction", &(settings.reduction as u32).to_string()]);
        job.line(&["flush", ["0", "1"][usize::from(settings.flush)]]);
        job.line(&["forgiving", ["0", "1"][usize::from(self.forgiving)]]);
        job.line(&["workers", &settings.workers.to_string()]);
        if self.coalescing > 0 {
            job.line(&["coalescing", &self.coalescing.to_string()]);
        }
        job.line(&["report", &job::path(&folder.join("report.json"))]);
        Ok(job)
    }

    fn report(&self, output: &Output, path: &Path) -> Result<Report> {
        let said = last_lines(&output.stderr, 10);
        if output.status.code() == Some(2) && !output.timed_out {
            return Err(Error::usage(output.stderr.trim().to_string())
                .doing(format!("launching {}", self.kernel.name)));
        }
        if let Ok(json) = std::fs::read_to_string(path)
            && output.success()
        {
            return Report::read(&json, self.kernel);
        }
        let checked = self.kernel.build == Build::Checked;
        let fault = match output.timed_out {
            true => Fault::new(
                "deadlock",
                format!("the launch did not end in {:?}\n{said}", self.limit),
            ),
            false => Fault::new(
                "crash",
                format!("the launch ended with {}\n{said}", output.ending()),
            ),
        };
        Ok(Report::lost(&self.kernel.name, checked, fault))
    }
}

/// A folder for one launch that writes so many bytes: in memory where the system has such and
/// it has room for them.
fn scratch(bytes: u64) -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("mlx-emulate-");
    let memory = Path::new("/dev/shm");
    let made = match fits(bytes, room(memory)) {
        true => builder.tempdir_in(memory).or_else(|_| builder.tempdir()),
        false => builder.tempdir(),
    };
    made.doing(|| "making a folder for the launch".into())
}

/// True where the bytes take no more than half of the room: other launches run at the same time.
fn fits(bytes: u64, room: Option<u64>) -> bool {
    room.is_some_and(|room| bytes.saturating_add(SMALL_FILES) <= room / 2)
}

/// The most that the job and the report take.
const SMALL_FILES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_is_in_memory_where_that_has_room_for_it() {
        assert!(fits(0, Some(64 << 20)));
        assert!(fits(24 << 20, Some(64 << 20)));
        assert!(!fits(25 << 20, Some(64 << 20)));
        assert!(!fits(0, Some(1 << 20)));
        assert!(!fits(u64::MAX, Some(u64::MAX)));
        assert!(!fits(0, None));
    }
}
