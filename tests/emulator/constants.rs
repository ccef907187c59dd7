//! Function constants: which of them a launch must set, and parameters that they choose among.

use mlx_fork::Kind;
use mlx_fork::emulator::{Build, Kernel, Launch, Numerics, Outcome, Program, Text};

use super::emulator;

const SOURCE: &str = "#include <metal_stdlib>
using namespace metal;
constant int scale [[function_constant(1)]];
constant int offset [[function_constant(2)]];
constant int given [[function_constant(3)]];
constant int either = is_function_constant_defined(given) ? given : 50;
constant bool wide [[function_constant(4)]];
constant bool narrow = !wide;
constant float3 shift [[function_constant(5)]];
int scaled(int x) { return x * scale; }
struct Shifts { float operator()(float x) const { return x + shift.y; } };
kernel void none(device int* out [[buffer(0)]]) { out[0] = 3; }
kernel void direct(device int* out [[buffer(0)]]) { out[0] = 3 + offset; }
kernel void calls(device int* out [[buffer(0)]]) { out[0] = scaled(3); }
kernel void asks(device int* out [[buffer(0)]]) { out[0] = either; }
kernel void shifts(device float* out [[buffer(0)]]) { out[0] = Shifts()(3); }
kernel void chooses(device int* out [[buffer(0)]],
                    const device long* a [[buffer(1), function_constant(wide)]],
                    const device short* b [[buffer(1), function_constant(narrow)]]) {
  out[0] = wide ? int(a[0]) : b[0];
}
";

fn program() -> Program<'static> {
    let source = Text::Inline {
        name: "constants.metal".into(),
        text: SOURCE.into(),
    };
    emulator().read(source).unwrap()
}

/// Runs a kernel with what it is given, in both builds: the same comes of both.
fn run(name: &str, describe: impl for<'k> Fn(Launch<'k>) -> Launch<'k>) -> Outcome {
    let program = program();
    let outcomes = [Build::Plain, Build::Checked].map(|build| {
        let kernel: Kernel<'_> = program.kernel(name, build, Numerics::default()).unwrap();
        let launch = Launch::new(&kernel).output(0, "out", 4);
        describe(launch.threadgroups([1, 1, 1])).run().unwrap()
    });
    let [plain, checked] = outcomes;
    assert_eq!(plain.report.faults, checked.report.faults);
    assert_eq!(plain.buffers, checked.buffers);
    checked
}

#[track_caller]
fn lacks(outcome: &Outcome, wanted: &str) {
    let faults = &outcome.report.faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].to_string(), wanted);
    assert_eq!(outcome.report.clean().unwrap_err().kind(), Kind::Gate);
    assert!(outcome.buffers.is_empty());
}

#[track_caller]
fn gives(outcome: &Outcome, value: i32) {
    outcome.report.clean().unwrap();
    assert_eq!(outcome.values::<i32>(0), [value]);
}

#[test]
fn a_constant_that_the_kernel_reads_must_be_set() {
    lacks(
        &run("direct", |launch| launch.constant(1, [7i32])),
        "binding: nothing sets function constant 2, 'offset' (constants.metal:4), which the \
         kernel reads",
    );
    gives(&run("direct", |launch| launch.constant(2, [7i32])), 10);
}

#[test]
fn one_that_a_function_of_the_kernels_reads_must_be_set_too() {
    lacks(
        &run("calls", |launch| launch),
        "binding: nothing sets function constant 1, 'scale' (constants.metal:3), which the kernel \
         reads",
    );
    gives(
        &run("calls", |launch| launch.constant_named("scale", [5i32])),
        15,
    );
    lacks(
        &run("shifts", |launch| launch),
        "binding: nothing sets function constant 5, 'shift' (constants.metal:9), which the kernel \
         reads",
    );
}

#[test]
fn one_that_the_kernel_does_not_read_may_be_left_out() {
    gives(&run("none", |launch| launch), 3);
}

#[test]
fn one_that_the_source_asks_for_may_be_left_out() {
    gives(&run("asks", |launch| launch), 50);
    gives(&run("asks", |launch| launch.constant(3, [4i32])), 4);
}

#[test]
fn an_index_that_the_source_has_not_is_an_error() {
    let program = program();
    let kernel = program.kernel("none", Build::Plain, Numerics::default());
    let kernel = kernel.unwrap();
    let launch = Launch::new(&kernel).threadgroups([1, 1, 1]);
    let error = launch.output(0, "out", 4).constant(9, [1i32]).run();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.what().contains("no function constant 9"), "{error}");
    assert!(error.hints()[0].contains("2 (offset)"), "{error:?}");
}

#[test]
fn what_is_bound_may_be_any_of_the_parameters_of_its_index() {
    let wide = run("chooses", |launch| {
        launch.constant(4, [true]).buffer(1, "a", [70i64])
    });
    gives(&wide, 70);
    let narrow = run("chooses", |launch| {
        launch.constant(4, [false]).buffer(1, "b", [9i16])
    });
    gives(&narrow, 9);
    let neither = run("chooses", |launch| {
        launch.constant(4, [true]).buffer(1, "a", [70f32; 2])
    });
    let said = neither.report.faults[0].to_string();
    assert_eq!(
        said,
        "binding: 'a' is bound at 1 as float, and the kernel has 'a' of type long; or 'a' is bound \
         at 1 as float, and the kernel has 'b' of type short"
    );
}
