//! Small kernels with one fault each (faults.metal): the emulator names the kind and the line.

use std::collections::BTreeSet;

use mlx_fork::emulator::{Build, Kernel, Launch, Numerics, Report, Schedule, Settings, Text};

use super::emulator;

const TEXT: &str = include_str!("faults.metal");
const THREADS: usize = 128;

/// The kernels of the file, each with its faults: kind and line.
fn expected() -> Vec<(String, BTreeSet<(String, u32)>)> {
    let mut kernels: Vec<(String, BTreeSet<(String, u32)>)> = Vec::new();
    for (number, line) in (1..).zip(TEXT.lines()) {
        if let Some(rest) = line.strip_prefix("[[kernel]] void ") {
            let name = rest.split('(').next().unwrap();
            kernels.push((name.to_string(), BTreeSet::new()));
        } else if let (Some((_, kind)), Some(kernel)) =
            (line.split_once("// fault: "), kernels.last_mut())
        {
            kernel.1.insert((kind.to_string(), number));
        }
    }
    kernels
}

fn run(kernel: &Kernel<'_>, schedule: Schedule, seed: u64) -> Report {
    let numbers: Vec<f32> = (0..THREADS).map(|i| i as f32).collect();
    let launch = Launch::new(kernel)
        .buffer(0, "x", &numbers)
        .output(1, "out", THREADS as u64 * 4)
        .value(2, "n", THREADS as i32)
        .buffer(3, "table", &numbers)
        .in_out(4, "counter", [0u32])
        .threadgroups([2, 1, 1])
        .group([64, 1, 1]);
    let settings = Settings {
        schedule,
        seed,
        ..Settings::default()
    };
    launch.settings(settings).run().unwrap().report
}

fn kernel<'e>(program: &mlx_fork::emulator::Program<'e>, name: &str) -> Kernel<'e> {
    program
        .kernel(name, Build::Checked, Numerics::default())
        .unwrap()
}

#[test]
fn each_fault_is_named_by_kind_and_line_whatever_the_order_of_threads() {
    let source = Text::Inline {
        name: "faults.metal".into(),
        text: TEXT.into(),
    };
    let program = emulator().read(source).unwrap();
    let kernels = expected();
    assert!(kernels.len() > 30, "{}", kernels.len());
    let mut wrong = Vec::new();
    for (name, faults) in &kernels {
        let kernel = kernel(&program, name);
        for schedule in [Schedule::Random, Schedule::Forward, Schedule::Reverse] {
            let report = run(&kernel, schedule, 7);
            let mut found: BTreeSet<(String, u32)> = BTreeSet::new();
            for fault in &report.faults {
                // What the host binds is not the kernel's line.
                if let (Some(line), true) = (fault.line(), fault.kind != "binding") {
                    found.insert((fault.kind.clone(), line));
                }
            }
            // Which of several lines shows first depends on the order; one must, and nothing
            // else but what a race leaves unwritten.
            let named = found.intersection(faults).next().is_some();
            let stray = found.iter().find(|fault| {
                !faults.contains(*fault)
                    && !(fault.0 == "uninitialised" && faults.iter().any(|f| f.0 == "race"))
                    && !(fault.0 == "race" && faults.iter().any(|f| f.0 == "race"))
            });
            if named == faults.is_empty() || stray.is_some() {
                wrong.push(format!(
                    "{name}, {schedule:?}: wanted {faults:?}, found {found:?}\n{:#?}",
                    report.faults
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn threadgroup_memory_over_32_kib_is_a_fault() {
    let program = emulator()
        .read(Text::Inline {
            name: "faults.metal".into(),
            text: TEXT.into(),
        })
        .unwrap();
    let kernel = kernel(&program, "takes_too_much_threadgroup_memory");
    let report = run(&kernel, Schedule::Random, 1);
    let fault = report.of("threadgroup_memory").next().unwrap();
    assert!(fault.message.contains("32772"), "{}", fault.message);
}
