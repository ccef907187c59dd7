//! The framework alone, without MLX: programs that use Metal right or wrong, and what each comes to.

use std::time::Duration;

use mlx_fork::process::{Command, Output};

use super::{layout, machine};

/// What a program prints, or a part of it, and its exit code.
const PROGRAMS: &[(&str, &str, i32)] = &[
    ("binds_nothing", ".metal:7: uninitialised: ", 0),
    (
        "reads_what_another_kernel_was_given",
        ".metal:7: uninitialised: ",
        0,
    ),
    ("reads_what_nobody_wrote", "of buffer 1 (x) at ", 0),
    (
        "sets_too_few_bytes",
        "setBytes brings 4 bytes for buffer(1), which has 8",
        0,
    ),
    ("sets_no_bytes", "setBytes of 0 bytes at 1", 0),
    (
        "sets_bytes_of_what_is_written",
        "is written to and bound by setBytes",
        0,
    ),
    (
        "binds_at_the_end",
        "at offset 256 of a buffer of 256 bytes",
        0,
    ),
    (
        "sets_no_threadgroup_memory",
        "nothing sets the size of threadgroup(0)",
        0,
    ),
    (
        "sets_odd_threadgroup_memory",
        "of 130 bytes: Metal takes multiples of 16",
        0,
    ),
    (
        "sets_too_much_threadgroup_memory",
        "32784 bytes of threadgroup memory",
        0,
    ),
    ("launches_too_many_threads", "more than 1024 threads", 0),
    ("launches_nothing", "7 7\n", 0),
    ("has_its_barrier", "8 8\n", 0),
    (
        "frees_what_a_launch_uses",
        "was freed before the launches",
        134,
    ),
    ("binds_a_fresh_buffer_twice", "1 2\n", 0),
    ("has_many_large_buffers", "0 99\n", 0),
    ("waits_for_no_result", "faults that nothing waited for", 70),
    (
        "lacks_a_function_constant",
        "scales needs a value for function constant 3, times",
        0,
    ),
    ("sets_a_function_constant", "12 12\n", 0),
];

/// Runs a program to its end; what it leaves in its folder for files is the second result.
fn run(program: &str, environment: &[(&str, &str)]) -> (Output, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(layout().target().join("build-emulated/framework_tests"))
        .arg(program)
        .env("MLX_FORK_EMULATOR", machine::xtask())
        .env("TMPDIR", folder.path())
        .limit(Duration::from_secs(120));
    for (name, value) in environment {
        command = command.env(name, value);
    }
    let output = command.output().unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    (output, left)
}

/// Standard output and error.
fn said(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

pub fn each_use_of_metal_comes_to_what_it_should() {
    for (program, wanted, code) in PROGRAMS {
        let (output, left) = run(program, &[]);
        let said = said(&output);
        assert!(said.contains(wanted), "{program}: {said}");
        let ended = output.status.code().unwrap_or(134);
        assert_eq!(ended, *code, "{program}: {}", output.ending());
        // One that was aborted could not tidy up.
        assert_eq!(left, usize::from(*code == 134), "{program} left files");
    }
}

pub fn launches_that_nothing_orders_run_in_either_order() {
    let results: Vec<String> = ["1", "2", "3", "4", "5", "6"]
        .iter()
        .map(|seed| said(&run("forgets_a_barrier", &[("MLX_FORK_EMULATOR_SEED", seed)]).0))
        .collect();
    for result in ["7 7\n", "8 8\n"] {
        assert!(results.iter().any(|r| r == result), "{results:?}");
    }
}

pub fn what_does_not_end_is_ended() {
    let limit = [("MLX_FORK_EMULATOR_SECONDS", "1")];
    let (output, left) = run("never_ends", &limit);
    assert!(
        output.stdout.contains("did not end in 1 s"),
        "{}",
        said(&output)
    );
    assert_eq!(left, 0);
    let (output, _) = run("waits_for_what_never_comes", &limit);
    let wanted = "an event that nothing signalled in 1 s";
    assert!(output.stdout.contains(wanted), "{}", said(&output));
}

pub fn faults_are_tolerated_where_a_launch_can_go_on() {
    let tolerate = |kinds| {
        run(
            "reads_what_nobody_wrote",
            &[("MLX_FORK_EMULATOR_TOLERATE", kinds)],
        )
        .0
    };
    let output = tolerate("uninitialised");
    assert!(
        output.stderr.contains("tolerated: copies"),
        "{}",
        said(&output)
    );
    assert!(output.stdout.contains("nan"), "{}", said(&output));
    let output = tolerate("race");
    assert!(
        output.stdout.contains("uninitialised: "),
        "{}",
        said(&output)
    );
    let output = tolerate("bounds");
    assert!(
        output.stdout.contains("TOLERATE has bounds"),
        "{}",
        said(&output)
    );
}
