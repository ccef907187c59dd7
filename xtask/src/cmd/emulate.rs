//! `cargo xtask emulate`: a Metal kernel on the CPU, with its faults and its counts.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::emulator::spec::{self, Filling};
use mlx_fork::emulator::{
    Build, Check, Emulator, Kernel, Launch, Outcome, Program, Report, Role, Space,
};
use mlx_fork::error::{Doing, writing};
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result};

/// Runs a Metal kernel on the CPU and names its faults by line and thread
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask emulate mlx/backend/metal/kernels/rms_norm.metal --list
  cargo xtask emulate mlx/backend/metal/kernels/rms_norm.metal rmsfloat32 --show
  cargo xtask emulate mlx/backend/metal/kernels/rms_norm.metal rmsfloat32 \\
    --buffer 0=x:f32:random:1:2048 --buffer 1=w:f32:random:2:1024 --buffer 2=out:f32:empty:2048 \\
    --bytes 3=f32:1e-5 --bytes 4=u32:1024 --bytes 5=u32:1 --constant has_w=bool:true \\
    --groups 2 --group 256 --print 2
  … the same with --check: 20 runs, over all that a GPU may choose

Contents of a buffer: a FILE of raw bytes, zeros:N, empty:N (nobody has written it), iota:N,
random:SEED:N, list:1,2,3. Types: f32 f16 bf16 u8 i8 u16 i16 u32 i32 u64 i64 bool.
Needs clang++ 14 or later. Exit code 4 when there is a fault. docs/emulator.md says more.")]
pub struct Emulate {
    /// A .metal file; a relative name is looked for here, in the project and in mlx_local
    file: PathBuf,
    /// The kernel's name, as the host asks for it; with --list a part of it
    kernel: Option<String>,
    /// Print the names of the file's kernels and run nothing
    #[arg(long)]
    list: bool,
    /// Print the kernel's parameters and function constants and run nothing
    #[arg(long)]
    show: bool,
    /// Bind a buffer
    #[arg(long, value_name = "INDEX=NAME:TYPE:CONTENTS")]
    buffer: Vec<String>,
    /// Bind bytes, as setBytes does
    #[arg(long, value_name = "INDEX=TYPE:VALUE,…")]
    bytes: Vec<String>,
    /// Set the size of a threadgroup parameter
    #[arg(long, value_name = "INDEX=BYTES")]
    threadgroup: Vec<String>,
    /// Set a function constant
    #[arg(long, value_name = "INDEX|NAME=TYPE:VALUE")]
    constant: Vec<String>,
    /// Threadgroups of the grid
    #[arg(long, value_name = "X,Y,Z", conflicts_with = "grid")]
    groups: Option<String>,
    /// Threads of the grid, instead of threadgroups
    #[arg(long, value_name = "X,Y,Z")]
    grid: Option<String>,
    /// Threads of a threadgroup
    #[arg(long, value_name = "X,Y,Z", default_value = "1")]
    group: String,
    /// Run it over all that a GPU may choose
    #[arg(long, conflicts_with = "plain")]
    check: bool,
    /// How many runs a check has; 20 at the least
    #[arg(long, value_name = "N", requires = "check")]
    seeds: Option<usize>,
    /// Take as no fault what GPUs forgive: SIMD functions after some threads returned, a skipped
    /// barrier without memory flags, a parameter read that a function constant leaves out
    #[arg(long)]
    forgiving: bool,
    /// Run it for speed, on all cores; no access is looked at
    #[arg(long)]
    plain: bool,
    /// What the run chooses, as a check prints it
    #[arg(long, value_name = "WORDS", conflicts_with = "check")]
    settings: Option<String>,
    /// Show how so many SIMD groups, the first ones, use memory
    #[arg(long, value_name = "N", conflicts_with_all = ["plain", "check"])]
    coalescing: Option<u32>,
    /// Write a buffer to a file after the run
    #[arg(long, value_name = "INDEX=FILE", conflicts_with = "check")]
    out: Vec<String>,
    /// Print a buffer's first values after the run
    #[arg(long, value_name = "INDEX", conflicts_with = "check")]
    print: Vec<u32>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Emulate {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let emulator = Emulator::new(&layout)?;
        let program = emulator.read(self.file.as_path())?;
        let part = self.kernel.as_deref();
        if self.list {
            return self.print_list(&program, part.unwrap_or_default());
        }
        let name = part.ok_or_else(|| {
            Error::usage("no kernel is named").hint("--list prints the names of a file's kernels")
        })?;
        if self.show {
            return self.print_kernel(&program, name);
        }
        match self.check {
            true => self.run_check(&program, name),
            false => self.run_once(&program, name),
        }
    }

    fn print_list(&self, program: &Program<'_>, part: &str) -> Result<ExitCode> {
        let names: Vec<&str> = program
            .kernels()
            .iter()
            .map(|kernel| kernel.name.as_str())
            .filter(|name| name.contains(part))
            .collect();
        match self.json {
            true => println!("{}", json(&names)?),
            false => names.iter().for_each(|name| println!("{name}")),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print_kernel(&self, program: &Program<'_>, name: &str) -> Result<ExitCode> {
        let parameters = program.parameters(name)?;
        let mut rows = Vec::new();
        for parameter in parameters {
            let space = match parameter.space {
                Some(Space::Device) => "device",
                Some(Space::Constant) => "constant",
                Some(Space::Threadgroup) => "threadgroup",
                None => "",
            };
            let bound = match &parameter.role {
                Role::Buffer { index, when: None } => format!("buffer {index}"),
                Role::Buffer {
                    index,
                    when: Some(when),
                } => format!("buffer {index}, if {when}"),
                Role::Threadgroup { index } => format!("threadgroup {index}"),
                Role::Position(position) => (*position).to_string(),
            };
            let access = match (parameter.space, parameter.writable) {
                (None, _) => "",
                (_, true) => "read, write",
                (_, false) => "read",
            };
            rows.push([parameter.name.as_str(), space, access, &bound].map(str::to_string));
        }
        let constants = program.constants();
        if self.json {
            let constants: Vec<_> = constants
                .iter()
                .map(|c| serde_json::json!({"index": c.index, "name": c.name, "type": c.ty}))
                .collect();
            let parameters: Vec<_> = rows
                .iter()
                .map(|[name, space, access, bound]| {
                    serde_json::json!(
                        {"name": name, "space": space, "access": access, "bound": bound}
                    )
                })
                .collect();
            let all = serde_json::json!({"parameters": parameters, "constants": constants});
            println!("{}", json(&all)?);
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            "parameter",
            "points into",
            "access",
            "bound to",
        ]);
        rows.into_iter().for_each(|row| {
            table.add_row(row);
        });
        println!("{table}");
        for constant in constants {
            println!(
                "function constant {}: {} {}",
                constant.index, constant.ty, constant.name
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Binds what the command line says; the names of bytes are the kernel's.
    fn describe<'k>(&self, kernel: &'k Kernel<'k>) -> Result<Launch<'k>> {
        let at = |index: u32| {
            kernel.parameters.iter().find(
                |p| matches!(p.role, Role::Buffer { index: has, .. } if has == u64::from(index)),
            )
        };
        let mut launch = Launch::new(kernel).group(spec::size(&self.group)?);
        for text in &self.buffer {
            let buffer = spec::buffer(text)?;
            let writable = at(buffer.index).is_some_and(|parameter| parameter.writable);
            launch = match buffer.filling {
                Filling::Empty(size) => launch.output(buffer.index, &buffer.name, size),
                Filling::Data(data) if writable => launch.in_out(buffer.index, &buffer.name, data),
                Filling::Data(data) => launch.buffer(buffer.index, &buffer.name, data),
            };
        }
        for text in &self.bytes {
            let (index, data) = spec::bytes(text)?;
            let name = at(index).map_or("bytes", |parameter| parameter.name.as_str());
            launch = launch.bytes(index, name, data);
        }
        for text in &self.threadgroup {
            let (index, bytes) = spec::threadgroup(text)?;
            launch = launch.threadgroup_memory(index, bytes);
        }
        for text in &self.constant {
            let (name, data) = spec::constant(text)?;
            launch = match name.parse() {
                Ok(index) => launch.constant(index, data),
                Err(_) => launch.constant_named(&name, data),
            };
        }
        launch = match (&self.groups, &self.grid) {
            (Some(groups), _) => launch.threadgroups(spec::size(groups)?),
            (None, Some(grid)) => launch.threads(spec::size(grid)?),
            (None, None) => launch.threadgroups([1, 1, 1]),
        };
        Ok(launch
            .forgiving(self.forgiving)
            .coalescing(self.coalescing.unwrap_or(0)))
    }

    fn run_once(&self, program: &Program<'_>, name: &str) -> Result<ExitCode> {
        let (mut settings, numerics) = match &self.settings {
            Some(words) => spec::settings(words)?,
            None => Default::default(),
        };
        let build = match self.plain {
            true => {
                let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
                settings.workers = u32::try_from(cores).unwrap_or(1);
                Build::Plain
            }
            false => Build::Checked,
        };
        let kernel = program.kernel(name, build, numerics)?;
        let outcome = self.describe(&kernel)?.settings(settings).run()?;
        for text in &self.out {
            let (index, path) = text
                .split_once('=')
                .and_then(|(index, path)| Some((index.parse::<u32>().ok()?, PathBuf::from(path))))
                .ok_or_else(|| Error::usage(format!("'{text}' is no INDEX=FILE")))?;
            std::fs::write(&path, self.written(&outcome, index)?).doing(writing(&path))?;
        }
        if self.json {
            println!("{}", json(&outcome.report)?);
        } else {
            for index in &self.print {
                let bytes = self.written(&outcome, *index)?;
                let ty = self.buffer.iter().find_map(|text| {
                    let rest = text.strip_prefix(&format!("{index}="))?;
                    rest.split(':').nth(1)
                });
                println!("{}", spec::shown(ty.unwrap_or("u8"), bytes, 16)?);
            }
            print_report(&outcome.report);
        }
        Ok(code(outcome.report.faults.len()))
    }

    fn written<'o>(&self, outcome: &'o Outcome, index: u32) -> Result<&'o [u8]> {
        let bytes = outcome.buffers.get(&index).map(Vec::as_slice);
        bytes.ok_or_else(|| {
            Error::usage(format!(
                "there is no buffer {index} that the kernel may write"
            ))
        })
    }

    fn run_check(&self, program: &Program<'_>, name: &str) -> Result<ExitCode> {
        let check = Check::new(program, name).runs(self.seeds.unwrap_or(0));
        // What the command line says is read once before many runs ask for it.
        let first = program.kernel(name, Build::Checked, Default::default())?;
        self.describe(&first)?;
        let report = check.run(|kernel| {
            self.describe(kernel)
                .unwrap_or_else(|_| Launch::new(kernel))
        })?;
        if self.json {
            println!("{}", json(&report.summary())?);
        } else {
            for fault in &report.faults {
                println!("{fault}");
                println!(
                    "    in {} of {} runs, first with --settings '{}'",
                    fault.runs,
                    report.runs.len(),
                    report.first_with(fault).unwrap_or_default()
                );
            }
            if let Some(run) = report.runs.first() {
                print_counts(&run.outcome.report);
            }
            println!(
                "{} runs, {} of {} pairs of settings seen, {} faults",
                report.runs.len(),
                report.pairs,
                report.pairs_in_all,
                report.faults.len()
            );
        }
        Ok(code(report.faults.len()))
    }
}

fn code(faults: usize) -> ExitCode {
    match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(mlx_fork::Kind::Gate.exit_code()),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::bug(e.to_string()))
}

fn print_report(report: &Report) {
    for fault in &report.faults {
        println!("{fault}");
    }
    let more = report
        .faults_in_all
        .saturating_sub(report.faults.len() as u64);
    if more > 0 {
        println!("… and {more} more at the same places");
    }
    print_counts(report);
    if !report.loads.is_empty() {
        print_loads(report);
    }
}

fn print_counts(report: &Report) {
    let counts = &report.counts;
    println!(
        "{}: {} threads in {} threadgroups, {:.1} ms",
        report.kernel,
        report.threads,
        report.threadgroups,
        report.seconds * 1e3
    );
    if !report.checked {
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "buffer",
        "name",
        "bytes",
        "read",
        "distinct",
        "ratio",
        "written",
        "distinct",
        "unwritten",
    ]);
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = |all: u64, distinct: u64| match distinct {
        0 => String::new(),
        _ => format!("{:.2}", all as f64 / distinct as f64),
    };
    let constant = |index: u32| report.is_constant(index);
    for buffer in counts.buffers.iter().filter(|b| !constant(b.index)) {
        table.add_row([
            buffer.index.to_string(),
            buffer.name.clone(),
            buffer.size.to_string(),
            buffer.read.to_string(),
            buffer.distinct_read.to_string(),
            ratio(buffer.read, buffer.distinct_read),
            buffer.written.to_string(),
            buffer.distinct_written.to_string(),
            match buffer.unwritten {
                0 => String::new(),
                n => n.to_string(),
            },
        ]);
    }
    println!("{table}");
    let all = report.read_ratio().map_or(String::new(), |ratio| {
        format!(", {ratio:.2} × the fewest possible")
    });
    let constants = counts.buffers.iter().filter(|b| constant(b.index));
    let constants: u64 = constants.map(|buffer| buffer.read).sum();
    println!(
        "device: {} bytes read{all}, {} written; constants: {constants} bytes read",
        counts.device_read.saturating_sub(constants),
        counts.device_written
    );
    println!(
        "threadgroup: {} bytes read, {} written; {} barriers, {} SIMD operations, {} flops",
        counts.threadgroup_read,
        counts.threadgroup_written,
        counts.barriers,
        counts.simd_operations,
        counts.flops.map_or("unknown".into(), |n| n.to_string())
    );
}

fn print_loads(report: &Report) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "place",
        "buffer",
        "",
        "accesses of a SIMD group",
        "bytes a thread",
        "bytes a group",
        "lines of 128 bytes",
    ]);
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean = |sum: u64, of: u64| format!("{:.1}", sum as f64 / of.max(1) as f64);
    let device = |name: &str| {
        let mut buffers = report.counts.buffers.iter();
        buffers.any(|buffer| buffer.name == name && !report.is_constant(buffer.index))
    };
    for load in report.loads.iter().filter(|load| device(&load.buffer)) {
        let place = load.frames.first().map_or(String::new(), |frame| {
            let name = frame.file.rsplit('/').next().unwrap_or(&frame.file);
            format!("{name}:{}", frame.line)
        });
        table.add_row([
            place,
            load.buffer.clone(),
            if load.write { "write" } else { "read" }.into(),
            load.accesses.to_string(),
            mean(load.thread_bytes, load.threads),
            mean(load.distinct_bytes, load.accesses),
            mean(load.lines_128, load.accesses),
        ]);
    }
    println!("{table}");
}
