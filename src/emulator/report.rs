//! What a launch came to: faults with their lines, and counts. Read from the driver's JSON, and
//! given on as JSON. Not how it is shown.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

use super::flops;
use super::program::Kernel;
use super::symbolize::Symbols;

/// A function that was running, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Its name; empty where none is known.
    pub function: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// Something that a kernel must not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// `out_of_bounds`, `race`, `barrier_divergence`, `simd_divergence`, `uninitialised`,
    /// `misaligned`, `const_write`, `threadgroup_memory`, `binding`, `stack_overflow`, `bounds`,
    /// `deadlock` or `crash`.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// Where: the function that did it first, then those that it was inlined into. Empty where
    /// it has no place.
    pub frames: Vec<Frame>,
    /// Where the other access of a race was.
    pub other: Vec<Frame>,
    /// The thread's position in its threadgroup.
    pub thread: Option<[u32; 3]>,
    /// Its threadgroup's position.
    pub threadgroup: Option<[u32; 3]>,
    /// Its lane.
    pub lane: Option<u32>,
    /// The buffer or the threadgroup variable.
    pub buffer: Option<String>,
    /// The byte in it.
    pub offset: Option<i64>,
    /// The runs of a check that have it; 1 for a launch.
    pub runs: usize,
}

impl Fault {
    /// A fault that has no place in the source.
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Fault {
            kind: kind.into(),
            message: message.into(),
            runs: 1,
            ..Fault::default()
        }
    }

    /// `FILE:LINE` of what did it.
    pub fn place(&self) -> Option<String> {
        let frame = self.frames.first()?;
        Some(format!("{}:{}", frame.file, frame.line))
    }

    /// The line of what did it.
    pub fn line(&self) -> Option<u32> {
        self.frames.first().map(|frame| frame.line)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(place) = self.place() {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.kind, self.message)?;
        if let Some([x, y, z]) = self.thread {
            write!(f, " [thread ({x}, {y}, {z})")?;
            if let Some([x, y, z]) = self.threadgroup {
                write!(f, " of threadgroup ({x}, {y}, {z})")?;
            }
            write!(f, "]")?;
        }
        for frame in self.frames.iter().skip(1) {
            write!(f, "\n    from {}:{}", frame.file, frame.line)?;
            if !frame.function.is_empty() {
                write!(f, " ({})", frame.function)?;
            }
        }
        if let Some(other) = self.other.first() {
            write!(f, "\n    the other at {}:{}", other.file, other.line)?;
        }
        Ok(())
    }
}

/// A parameter as the compiled kernel has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// `buffer` or `threadgroup`.
    pub kind: String,
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `device`, `constant` or `threadgroup`.
    pub space: String,
    /// True where the kernel can't write it.
    #[serde(rename = "const")]
    pub is_const: bool,
    /// Bytes of what it points to.
    pub size: usize,
    /// Alignment of that.
    pub align: usize,
    /// True for a reference: one value, which may come as bytes.
    pub reference: bool,
    /// True where a function constant decides whether it is there.
    #[serde(default)]
    pub optional: bool,
    /// Its C++ type.
    #[serde(rename = "type")]
    pub ty: String,
}

/// What was read and written of one buffer, in bytes; zero in plain builds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferCounts {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its size.
    #[serde(default)]
    pub size: u64,
    /// Read, by all threads.
    pub read: u64,
    /// Written, by all threads.
    pub written: u64,
    /// Bytes that somebody read.
    pub distinct_read: u64,
    /// Bytes that somebody wrote.
    pub distinct_written: u64,
    /// Bytes of an output that nobody wrote.
    #[serde(default)]
    pub unwritten: u64,
}

/// What a launch did; zero in plain builds but for barriers and SIMD operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Bytes read from buffers.
    pub device_read: u64,
    /// Bytes written to buffers.
    pub device_written: u64,
    /// Bytes read from threadgroup memory.
    pub threadgroup_read: u64,
    /// Bytes written to threadgroup memory.
    pub threadgroup_written: u64,
    /// Barriers, each counted once a thread that came to it.
    pub barriers: u64,
    /// SIMD and quad operations.
    pub simd_operations: u64,
    /// Floating-point operations, those inside of exp and its like left out; `None` where
    /// nothing could count them.
    #[serde(default)]
    pub flops: Option<u64>,
    /// Buffer by buffer.
    pub buffers: Vec<BufferCounts>,
}

/// How the SIMD groups used a buffer at one place of the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Where.
    pub frames: Vec<Frame>,
    /// The buffer.
    pub buffer: String,
    /// True for a write.
    pub write: bool,
    /// Accesses by a SIMD group.
    pub accesses: u64,
    /// Accesses by a thread.
    pub threads: u64,
    /// Bytes that threads asked for.
    pub thread_bytes: u64,
    /// Bytes that a SIMD group asked for, each counted once an access.
    pub distinct_bytes: u64,
    /// Lines of 128 bytes that it touched.
    pub lines_128: u64,
}

/// The report of a launch.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The kernel.
    pub kernel: String,
    /// True where accesses were looked at.
    pub checked: bool,
    /// Threads of the grid.
    pub threads: u64,
    /// Threadgroups of the grid.
    pub threadgroups: u64,
    /// How long it ran, in seconds, without loading.
    pub seconds: f64,
    /// What it must not have done, each place once.
    pub faults: Vec<Fault>,
    /// How many there were.
    pub faults_in_all: u64,
    /// The kernel's parameters.
    pub arguments: Vec<Argument>,
    /// What it did.
    pub counts: Counts,
    /// How SIMD groups used memory; empty unless that was asked for.
    pub loads: Vec<Load>,
}

#[derive(Debug, Deserialize)]
struct RawFault {
    kind: String,
    message: String,
    pc: Option<u64>,
    other_pc: Option<u64>,
    file: Option<String>,
    line: Option<u32>,
    thread: Option<[u32; 3]>,
    threadgroup: Option<[u32; 3]>,
    lane: Option<u32>,
    buffer: Option<String>,
    offset: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct RawLoad {
    pc: Option<u64>,
    buffer: String,
    #[serde(default)]
    write: bool,
    accesses: u64,
    #[serde(default)]
    threads: u64,
    #[serde(default)]
    thread_bytes: u64,
    #[serde(default)]
    distinct_bytes: u64,
    lines_128: u64,
}

#[derive(Debug, Deserialize)]
struct Raw {
    kernel: String,
    checked: bool,
    threads: u64,
    threadgroups: u64,
    seconds: f64,
    faults: Vec<RawFault>,
    faults_in_all: u64,
    arguments: Vec<Argument>,
    counts: Counts,
    #[serde(default)]
    loads: Vec<RawLoad>,
    #[serde(default)]
    blocks: Vec<(Option<u64>, u64)>,
}

impl Report {
    /// Reads what the driver wrote, with the lines of its addresses.
    ///
    /// # Errors
    /// [`crate::Kind::Bug`] where it is no report.
    pub(super) fn read(json: &str, kernel: &Kernel<'_>) -> Result<Self> {
        let cited = |name: &str| kernel.roots.cited(name).into_owned();
        let raw: Raw = serde_json::from_str(json)
            .map_err(|e| Error::bug(format!("the driver's report is none: {e}")))?;
        let wanted = !raw.faults.is_empty() || !raw.loads.is_empty();
        let symbols = wanted.then(|| Symbols::read(&kernel.library));
        let frames = |pc: Option<u64>| match (&symbols, pc) {
            (Some(symbols), Some(pc)) => {
                let mut frames = symbols.frames(pc);
                // The function that the translation added.
                frames.retain(|frame| !frame.function.contains("emu_entry_"));
                for frame in &mut frames {
                    frame.file = cited(&frame.file);
                }
                frames
            }
            _ => Vec::new(),
        };
        let fault = |fault: RawFault| {
            let mut at = frames(fault.pc);
            if let (Some(file), Some(line)) = (fault.file.as_deref().map(cited), fault.line) {
                // A known place is where the source calls; what clang inlined there is no news.
                at.retain(|frame| !(frame.file == file && frame.line == line));
                let function = String::new();
                at.insert(
                    0,
                    Frame {
                        function,
                        file,
                        line,
                    },
                );
            }
            Fault {
                kind: fault.kind,
                message: cited(&fault.message),
                frames: at,
                other: frames(fault.other_pc),
                thread: fault.thread,
                threadgroup: fault.threadgroup,
                lane: fault.lane,
                buffer: fault.buffer,
                offset: fault.offset,
                runs: 1,
            }
        };
        let load = |load: RawLoad| Load {
            frames: frames(load.pc),
            buffer: load.buffer,
            write: load.write,
            accesses: load.accesses,
            threads: load.threads,
            thread_bytes: load.thread_bytes,
            distinct_bytes: load.distinct_bytes,
            lines_128: load.lines_128,
        };
        let mut counts = raw.counts;
        if counts.flops.is_none() && raw.checked {
            let runs = raw.blocks.iter().filter_map(|(pc, n)| Some(((*pc)?, *n)));
            let runs: Vec<(u64, u64)> = runs.collect();
            let blocks = kernel.blocks();
            counts.flops = (!blocks.is_empty()).then(|| flops::count(blocks, &runs));
        }
        Ok(Report {
            kernel: raw.kernel,
            checked: raw.checked,
            threads: raw.threads,
            threadgroups: raw.threadgroups,
            seconds: raw.seconds,
            faults: raw.faults.into_iter().map(fault).collect(),
            faults_in_all: raw.faults_in_all,
            arguments: raw.arguments,
            loads: raw.loads.into_iter().map(load).collect(),
            counts,
        })
    }

    /// The report of a launch that ended without writing one.
    pub(super) fn lost(kernel: &str, checked: bool, fault: Fault) -> Self {
        Report {
            kernel: kernel.into(),
            checked,
            threads: 0,
            threadgroups: 0,
            seconds: 0.0,
            faults: vec![fault],
            faults_in_all: 1,
            arguments: Vec::new(),
            counts: Counts::default(),
            loads: Vec::new(),
        }
    }

    /// Adds a fault that was found here.
    pub(super) fn note(&mut self, fault: Fault) {
        self.faults.push(fault);
        self.faults_in_all += 1;
    }

    /// True where the kernel has a parameter of the constant address space.
    pub fn is_constant(&self, index: u32) -> bool {
        let mut arguments = self.arguments.iter();
        arguments.any(|a| a.kind == "buffer" && a.index == index && a.space == "constant")
    }

    /// Bytes read from device memory over the fewest possible: those that were read at all, once
    /// each. Not what the constant address space holds, which GPUs keep at hand. `None` where
    /// nothing was read.
    pub fn read_ratio(&self) -> Option<f64> {
        let all = || self.counts.buffers.iter();
        let buffers = || all().filter(|buffer| !self.is_constant(buffer.index));
        let read: u64 = buffers().map(|buffer| buffer.read).sum();
        let distinct: u64 = buffers().map(|buffer| buffer.distinct_read).sum();
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = read as f64 / distinct as f64;
        (distinct > 0).then_some(ratio)
    }

    /// The faults of one kind.
    pub fn of<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Fault> {
        self.faults.iter().filter(move |fault| fault.kind == kind)
    }

    /// Nothing, or all faults as an error.
    ///
    /// # Errors
    /// [`crate::Kind::Gate`] where there is a fault.
    pub fn clean(&self) -> Result<()> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        Err(Error::gate(lines.join("\n")).doing(format!("running {}", self.kernel)))
    }
}
