//! `cargo xtask emulate`: a Metal kernel on the CPU, with its faults and its counts.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::emulator::spec::{self, Filling};
use mlx_fork::emulator::{
    Build, Check, Emulator, Kernel, Launch, Outcome, Parameter, Program, Role, Space, check,
};
use mlx_fork::error::{Doing, writing};
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result};

use show::{print_counts, print_report};

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
    /// Threadgroups of the grid; a run needs these or --grid
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
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["check", "json"])]
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
        if self.groups.is_none() && self.grid.is_none() {
            return Err(Error::usage("nothing says how large the grid is").hint(
                "--groups X,Y,Z sets its threadgroups, --grid X,Y,Z its threads; --group sets the \
                 threads of a threadgroup",
            ));
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
        let mut launch = Launch::new(kernel).group(spec::size(&self.group)?);
        for text in &self.buffer {
            let buffer = spec::buffer(text)?;
            let writable = at(&kernel.parameters, buffer.index).any(|p| p.writable);
            launch = match buffer.filling {
                Filling::Empty(size) => launch.output(buffer.index, &buffer.name, size),
                Filling::Data(data) if writable => launch.in_out(buffer.index, &buffer.name, data),
                Filling::Data(data) => launch.buffer(buffer.index, &buffer.name, data),
            };
        }
        for text in &self.bytes {
            let (index, data) = spec::bytes(text)?;
            let parameter = at(&kernel.parameters, index).next();
            let name = parameter.map_or("bytes", |parameter| parameter.name.as_str());
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
            (None, None) => launch,
        };
        Ok(launch
            .forgiving(self.forgiving)
            .coalescing(self.coalescing.unwrap_or(0)))
    }

    fn run_once(&self, program: &Program<'_>, name: &str) -> Result<ExitCode> {
        let outputs = self.outputs(program.parameters(name)?)?;
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
        // The faults first: they say why a buffer is not there.
        match self.json {
            true => println!("{}", json(&outcome.report)?),
            false => print_report(&outcome.report),
        }
        for (index, path) in &outputs {
            if let Some(bytes) = written(&outcome, *index) {
                std::fs::write(path, bytes).doing(writing(path))?;
            }
        }
        for index in &self.print {
            if let Some(bytes) = written(&outcome, *index) {
                let ty = self.buffer.iter().find_map(|text| {
                    let rest = text.strip_prefix(&format!("{index}="))?;
                    rest.split(':').nth(1)
                });
                println!("{}", spec::shown(ty.unwrap_or("u8"), bytes, 16)?);
            }
        }
        Ok(code(outcome.report.faults.len()))
    }

    /// The files that buffers go to.
    ///
    /// # Errors
    /// What is no INDEX=FILE, and a buffer that the run won't give back.
    fn outputs(&self, parameters: &[Parameter]) -> Result<Vec<(u32, PathBuf)>> {
        let read = |text: &String| {
            text.split_once('=')
                .and_then(|(index, path)| Some((index.parse().ok()?, PathBuf::from(path))))
                .ok_or_else(|| Error::usage(format!("'{text}' is no INDEX=FILE")))
        };
        let outputs: Vec<(u32, PathBuf)> = self.out.iter().map(read).collect::<Result<_>>()?;
        if outputs.is_empty() && self.print.is_empty() {
            return Ok(outputs);
        }
        let bound = self.buffer.iter().map(|text| spec::buffer(text));
        let bound: Vec<spec::Buffer> = bound.collect::<Result<_>>()?;
        let files = outputs.iter().map(|(index, _)| *index);
        for index in files.chain(self.print.iter().copied()) {
            let comes_back = bound.iter().any(|buffer| {
                let empty = matches!(buffer.filling, Filling::Empty(_));
                let written = || at(parameters, index).any(|p| p.writable);
                buffer.index == index && (empty || written())
            });
            if !comes_back {
                return Err(Error::usage(format!(
                    "there is no buffer {index} that the kernel may write"
                ))
                .hint("--out and --print take the index of a --buffer; --show says which a kernel writes"));
            }
        }
        Ok(outputs)
    }

    fn run_check(&self, program: &Program<'_>, name: &str) -> Result<ExitCode> {
        let runs = self.seeds.unwrap_or(check::LEAST);
        if runs > check::MOST {
            let most = check::MOST;
            return Err(Error::usage(format!(
                "{runs} runs are too many: {most} at the most"
            )));
        }
        let check = Check::new(program, name).runs(runs);
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
            for agreement in report.agreements() {
                println!("{agreement}");
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

/// The parameters of an index: more than one where function constants choose.
fn at(parameters: &[Parameter], index: u32) -> impl Iterator<Item = &Parameter> {
    let index = u64::from(index);
    parameters
        .iter()
        .filter(move |p| matches!(p.role, Role::Buffer { index: has, .. } if has == index))
}

/// A buffer after the run; without one says so.
fn written(outcome: &Outcome, index: u32) -> Option<&[u8]> {
    let bytes = outcome.buffers.get(&index).map(Vec::as_slice);
    if bytes.is_none() {
        eprintln!("warning: the run gave no buffer {index} back");
    }
    bytes
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
