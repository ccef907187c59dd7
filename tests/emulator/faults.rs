//! faults.metal: small kernels with one fault each, or with none. Each fault is found at the line
//! that a comment names, and nothing is found elsewhere.

use std::path::Path;

use mlx_fork::emulator::{Build, Fault, Launch, Numerics, Program, Schedule, Settings};
use rayon::prelude::*;

use super::{emulator, layout, numbers};

const FILE: &str = "tests/emulator/faults.metal";
/// Their faults have no line: one launch does not begin, the other ends in the runtime's code.
const WITHOUT_LINE: [(&str, &str); 2] = [
    ("takes_too_much_threadgroup_memory", "threadgroup_memory"),
    ("runs_out_of_stack", "stack_overflow"),
];

/// What a comment promises of its line.
#[derive(Debug)]
struct Promised {
    line: u32,
    kind: String,
    /// What may be said of the line besides, in another order of the threads.
    besides: Vec<String>,
}

impl Promised {
    /// Whether the fault is at this line: either access of a race may be the second.
    fn is_at(&self, fault: &Fault) -> bool {
        let other = fault.other.first().map(|frame| frame.line);
        [fault.line(), other].contains(&Some(self.line))
    }
}

/// The kernels of the file, with what their comments promise.
fn promised() -> Vec<(String, Vec<Promised>)> {
    let text = std::fs::read_to_string(layout().root().join(FILE)).unwrap();
    let mut kernels: Vec<(String, Vec<Promised>)> = Vec::new();
    for (text, line) in text.lines().zip(1u32..) {
        if let Some(rest) = text.strip_prefix("[[kernel]] void ") {
            let name = rest.split('(').next().unwrap();
            kernels.push((name.to_string(), Vec::new()));
        }
        if let Some((_, kinds)) = text.split_once("// fault: ") {
            let mut kinds = kinds.split(", or ").map(|kind| kind.trim().to_string());
            let (_, promised) = kernels.last_mut().unwrap();
            promised.push(Promised {
                line,
                kind: kinds.next().unwrap(),
                besides: kinds.collect(),
            });
        }
    }
    kernels
}

/// The faults of a kernel, with a schedule.
fn found(program: &Program<'_>, name: &str, settings: Settings) -> Vec<Fault> {
    let kernel = program
        .kernel(name, Build::Checked, Numerics::default())
        .unwrap();
    let outcome = Launch::new(&kernel)
        .buffer(0, "x", &numbers(1, 128))
        .output(1, "out", 512)
        .value(2, "n", 128i32)
        .buffer(3, "table", &numbers(2, 128))
        .in_out(4, "counter", [0u32])
        .threadgroups([2, 1, 1])
        .group([64, 1, 1])
        .settings(settings)
        .run()
        .unwrap();
    outcome.report.faults
}

#[test]
fn each_fault_is_found_at_its_line_and_nothing_elsewhere() {
    let program = emulator().read(Path::new(FILE)).unwrap();
    let kernels = promised();
    assert!(kernels.len() >= 35, "{} kernels", kernels.len());
    let problems: Vec<String> = kernels
        .par_iter()
        .filter(|(name, _)| WITHOUT_LINE.iter().all(|(other, _)| other != name))
        .filter_map(|(name, promised)| {
            // A launch may end at its first fault: all orders together find each line.
            let schedules = [Schedule::Random, Schedule::Forward, Schedule::Reverse];
            let faults = schedules.into_iter().flat_map(|schedule| {
                let settings = Settings {
                    schedule,
                    ..Settings::default()
                };
                found(&program, name, settings)
            });
            let faults: Vec<Fault> = faults.collect();
            let admitted = |fault: &Fault| {
                let mut at = promised.iter().filter(|line| line.is_at(fault));
                at.any(|line| line.kind == fault.kind || line.besides.contains(&fault.kind))
            };
            let kept = |line: &Promised| {
                let mut at = faults.iter().filter(|fault| line.is_at(fault));
                at.any(|fault| fault.kind == line.kind)
            };
            let right = faults.iter().all(admitted) && promised.iter().all(kept);
            let seen: Vec<String> = faults.iter().map(Fault::to_string).collect();
            (!right).then(|| format!("{name}: promised {promised:?}, seen {seen:#?}"))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn too_much_memory_of_a_threadgroup_or_a_thread_is_named() {
    let program = emulator().read(Path::new(FILE)).unwrap();
    for (name, kind) in WITHOUT_LINE {
        let faults = found(&program, name, Settings::default());
        assert_eq!(faults[0].kind, kind, "{faults:#?}");
    }
}

#[test]
fn a_fault_names_its_thread_its_buffer_and_its_byte() {
    let program = emulator().read(Path::new(FILE)).unwrap();
    let faults = found(&program, "writes_past_a_buffer", Settings::default());
    let fault = &faults[0];
    assert_eq!(fault.buffer.as_deref(), Some("out"), "{fault:#?}");
    let [x, ..] = fault.thread.unwrap();
    // It is the second threadgroup's thread: 64 more, and 64 too far.
    assert_eq!(fault.offset, Some(i64::from(x + 128) * 4), "{fault:#?}");
    assert_eq!(fault.threadgroup, Some([1, 0, 0]), "{fault:#?}");
    assert_eq!(fault.lane, Some(x % 32), "{fault:#?}");
}
