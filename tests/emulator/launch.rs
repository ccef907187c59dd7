//! What surrounds a run: bindings that don't fit, crashes, hangs, sources that are texts, the
//! cache, and the grid that a kernel sees.

use std::time::{Duration, Instant};

use mlx_fork::Kind;
use mlx_fork::emulator::{
    Build, Data, Emulator, Kernel, Launch, Numerics, Outcome, Program, Schedule, Settings, Text,
};

use super::{emulator, layout};

const SOURCE: &str = "
#include <metal_stdlib>
using namespace metal;
constant int add [[function_constant(4)]];
kernel void adds(const device float* x [[buffer(0)]], device float* out [[buffer(1)]],
                 constant long& n [[buffer(2)]], threadgroup float* t [[threadgroup(0)]],
                 uint i [[thread_position_in_grid]], uint l [[thread_index_in_threadgroup]]) {
  t[l] = x[i];
  out[i] = t[l] + add + n;
}
kernel void spins(device float* out [[buffer(0)]]) {
  volatile int go = 1;
  while (go) {}
  out[0] = 1;
}
kernel void jumps(device int* out [[buffer(0)]]) {
  volatile int one = 17, zero = 0;
  out[0] = one / zero;
}
kernel void places(device uint* out [[buffer(0)]],
                   uint2 p [[thread_position_in_grid]], uint2 size [[threads_per_grid]],
                   uint3 group [[threadgroup_position_in_grid]],
                   uint2 groups [[threadgroups_per_grid]],
                   ushort2 wide [[threads_per_threadgroup]],
                   ushort in [[thread_index_in_threadgroup]],
                   uint lane [[thread_index_in_simdgroup]],
                   uint simd [[simdgroup_index_in_threadgroup]],
                   uint simds [[simdgroups_per_threadgroup]],
                   uint width [[threads_per_simdgroup]],
                   uint quad [[quadgroup_index_in_threadgroup]]) {
  device uint* at = out + (p.y * size.x + p.x) * 8;
  at[0] = group.x * 100 + group.y;
  at[1] = groups.x * 100 + groups.y;
  at[2] = wide.x * 100 + wide.y;
  at[3] = in;
  at[4] = simd * 100 + lane;
  at[5] = simds * 100 + width;
  at[6] = quad;
  at[7] = size.x * 100 + size.y;
}
constant bool has_scale [[function_constant(5)]];
kernel void sums_what_is_left(device float* out [[buffer(0)]],
                              constant float& first [[buffer(1), function_constant(has_scale)]],
                              constant float* scale [[buffer(2), function_constant(has_scale)]],
                              uint i [[thread_position_in_grid]]) {
  out[i] = -1;
  if (i >= 20) {
    return;
  }
  simdgroup_barrier(mem_flags::mem_none);
  if (i < 7) {
    threadgroup_barrier(mem_flags::mem_none);
  }
  out[i] = simd_sum(i) + simd_shuffle_down(i, 1) + first + scale[1];
}
";

fn program() -> Program<'static> {
    let source = Text::Inline {
        name: "launch.metal".into(),
        text: SOURCE.into(),
    };
    emulator().read(source).unwrap()
}

fn kernel<'e>(program: &Program<'e>, name: &str, build: Build) -> Kernel<'e> {
    program.kernel(name, build, Numerics::default()).unwrap()
}

/// As `adds` wants it.
fn adds<'k>(kernel: &'k Kernel<'k>) -> Launch<'k> {
    Launch::new(kernel)
        .buffer(0, "x", [1f32; 32])
        .output(1, "out", 128)
        .threadgroup_memory(0, 128)
        .constant(4, [30i32])
        .threadgroups([1, 1, 1])
        .group([32, 1, 1])
}

fn bindings(outcome: &Outcome) -> Vec<&str> {
    let faults = outcome.report.of("binding");
    faults.map(|fault| fault.message.as_str()).collect()
}

#[test]
fn a_launch_with_all_that_the_kernel_has_runs() {
    for build in [Build::Plain, Build::Checked] {
        let program = program();
        let kernel = kernel(&program, "adds", build);
        let outcome = adds(&kernel).value(2, "n", 500i64).run().unwrap();
        outcome.report.clean().unwrap();
        assert_eq!(outcome.values::<f32>(1), [531.0; 32]);
        assert_eq!(outcome.report.checked, build == Build::Checked);
    }
}

#[test]
fn what_the_host_binds_must_be_what_the_kernel_has() {
    let program = program();
    let kernel = kernel(&program, "adds", Build::Checked);
    let whole = || adds(&kernel).value(2, "n", 1i64);
    for (launch, words) in [
        (adds(&kernel), "nothing is bound at 2"),
        (
            adds(&kernel).value(2, "n", 1i32),
            "4 bytes are set at 2, where the kernel has 'n' of 8",
        ),
        (
            adds(&kernel).value(2, "n", 1u64),
            "as ulong, and the kernel has 'n' of type long",
        ),
        (
            whole().value(3, "m", 1i32),
            "'m' is bound at 3, where the kernel has nothing",
        ),
        (
            whole().threadgroup_memory(1, 16),
            "threadgroup memory is set at 1",
        ),
    ] {
        let outcome = launch.run().unwrap();
        let said = bindings(&outcome);
        assert!(
            said.iter().any(|m| m.contains(words)),
            "{said:?} lacks {words}"
        );
        assert_eq!(outcome.report.clean().unwrap_err().kind(), Kind::Gate);
    }
    // Bytes of which nothing is known may be anything of the size.
    let untyped = adds(&kernel).bytes(2, "n", Data::untyped(vec![0; 8]));
    untyped.run().unwrap().report.clean().unwrap();
}

#[test]
fn a_launch_that_can_not_be_is_an_error() {
    let program = program();
    let kernel = kernel(&program, "adds", Build::Checked);
    let grid = |launch: Launch<'_>| launch.run().unwrap_err();
    for (error, words) in [
        (
            grid(adds(&kernel).value(0, "x", 1i32)),
            "buffer 0 is bound twice",
        ),
        (
            grid(adds(&kernel).threads([1, 1, 1])),
            "either threadgroups or threads",
        ),
        (
            grid(adds(&kernel).group([32, 64, 1])),
            "1 to 1024 threads, not 2048",
        ),
        (
            grid(adds(&kernel).group([u32::MAX, u32::MAX, u32::MAX])),
            "1 to 1024 threads, not 79228162458924105385300197375",
        ),
        (
            grid(adds(&kernel).group([1 << 31, 1 << 31, 4])),
            "1 to 1024 threads, not 18446744073709551616",
        ),
        (
            grid(adds(&kernel).threadgroups([1 << 30, 1, 1])),
            "is too large: it has at most 4294967295 threads in a direction",
        ),
        (
            grid(adds(&kernel).threadgroups([1 << 20, 1 << 20, 2])),
            "of [1048576, 1048576, 2] threadgroups is too large",
        ),
        (
            grid(adds(&kernel).output(2, "n", u64::MAX)),
            "at most 17179869184 bytes, not 18446744073709551615",
        ),
        (
            grid(adds(&kernel).constant_named("ad", [1i32])),
            "no function constant 'ad'",
        ),
    ] {
        assert!(error.what().contains(words), "{error}");
        assert_eq!(error.kind(), Kind::Usage);
    }
}

#[test]
fn a_kernel_that_never_ends_is_a_fault() {
    let program = program();
    let kernel = kernel(&program, "spins", Build::Plain);
    let start = Instant::now();
    let outcome = Launch::new(&kernel)
        .output(0, "out", 4)
        .threadgroups([1, 1, 1])
        .limit(Duration::from_secs(1))
        .run()
        .unwrap();
    assert_eq!(outcome.report.faults[0].kind, "deadlock");
    assert!(
        outcome.report.faults[0]
            .message
            .contains("did not end in 1s")
    );
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_kernel_that_crashes_is_a_fault_with_its_line() {
    for build in [Build::Plain, Build::Checked] {
        let program = program();
        let kernel = kernel(&program, "jumps", build);
        let outcome = Launch::new(&kernel)
            .output(0, "out", 4)
            .threadgroups([1, 1, 1])
            .run()
            .unwrap();
        let fault = &outcome.report.faults[0];
        assert_eq!(fault.kind, "crash", "{fault}");
        assert_eq!(fault.place().as_deref(), Some("launch.metal:18"), "{fault}");
    }
}

#[test]
fn each_thread_sees_where_it_is() {
    let program = program();
    let kernel = kernel(&program, "places", Build::Checked);
    // The last groups are 2 threads wide and 1 high.
    let (width, height) = (18u32, 5u32);
    let outcome = Launch::new(&kernel)
        .output(0, "out", u64::from(width * height) * 32)
        .threads([width, height, 1])
        .group([16, 4, 1])
        .run()
        .unwrap();
    outcome.report.clean().unwrap();
    let values = outcome.values::<u32>(0);
    for y in 0..height {
        for x in 0..width {
            let at = &values[((y * width + x) * 8) as usize..][..8];
            let (gx, gy) = (x / 16, y / 4);
            let (wide, high) = ([16, 2][gx as usize], [4, 1][gy as usize]);
            let index = y % 4 * wide + x % 16;
            let simds = (wide * high).div_ceil(32);
            let expected = [
                gx * 100 + gy,
                202,
                wide * 100 + high,
                index,
                index / 32 * 100 + index % 32,
                simds * 100 + 32,
                index / 4,
                width * 100 + height,
            ];
            assert_eq!(at, expected, "thread ({x}, {y})");
        }
    }
}

#[test]
fn a_kernel_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let own = mlx_fork::layout::Layout::at(layout().root(), folder.path());
    let emulator = Emulator::new(&own).unwrap();
    let source = |text: &str| Text::Inline {
        name: "once.metal".into(),
        text: text.into(),
    };
    let text = "kernel void k(device int* x [[buffer(0)]]) { x[0] = 1; }";
    let library = |text: &str, numerics| {
        let program = emulator.read(source(text)).unwrap();
        program.kernel("k", Build::Plain, numerics).unwrap().library
    };
    let first = library(text, Numerics::default());
    let time = |path: &std::path::Path| path.metadata().unwrap().modified().unwrap();
    let written = time(&first);
    assert_eq!(library(text, Numerics::default()), first);
    assert_eq!(time(&first), written);
    let exact = Numerics {
        contract: false,
        ..Numerics::default()
    };
    assert_ne!(library(text, exact), first);
    assert_ne!(
        library(&text.replace("= 1", "= 2"), Numerics::default()),
        first
    );
    // A folder that is half made has another name: nothing but whole ones is found.
    let kept = std::fs::read_dir(folder.path().join("emulator/kernels")).unwrap();
    assert_eq!(kept.count(), 3);
}

#[test]
fn a_source_in_another_folder_is_not_compiled_again_and_is_cited_by_its_own_name() {
    let cache = tempfile::tempdir().unwrap();
    let own = mlx_fork::layout::Layout::at(layout().root(), cache.path());
    let in_folder = || {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("far.metal");
        std::fs::write(
            &source,
            "#include \"writes.h\"\nkernel void k(device int* x [[buffer(0)]]) { writes(x); }",
        )
        .unwrap();
        let header = folder.path().join("writes.h");
        std::fs::write(header, "inline void writes(device int* x) { x[7] = 1; }").unwrap();
        let emulator = Emulator::new(&own).unwrap().include(folder.path());
        let program = emulator.read(source.as_path()).unwrap();
        let kernel = kernel(&program, "k", Build::Checked);
        let launch = Launch::new(&kernel).output(0, "x", 4);
        let report = launch.threadgroups([1, 1, 1]).run().unwrap().report;
        let place = format!("{}/writes.h:1", folder.path().display());
        assert_eq!(report.faults[0].place(), Some(place));
        let broken = folder.path().join("writes.h");
        std::fs::write(&broken, "inline void writes(device int* x) { y[7] = 1; }").unwrap();
        let program = emulator.read(source.as_path()).unwrap();
        let error = program.kernel("k", Build::Checked, Numerics::default());
        let said = error.unwrap_err().to_string();
        let cited = format!("{}:1", broken.display());
        assert!(said.contains(&cited), "{said} lacks {cited}");
        kernel.library.clone()
    };
    assert_eq!(in_folder(), in_folder());
}

#[test]
fn sources_that_are_not_there_or_lack_a_header_are_named() {
    let error = emulator().read("no/such/file.metal").unwrap_err();
    assert!(error.what().contains("no/such/file.metal"), "{error}");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(
        error.hints()[0].contains("mlx_local/no/such/file.metal"),
        "{error:?}"
    );
    let source = Text::Inline {
        name: "lacks.metal".into(),
        text: "\n#include \"no_such_header.h\"".into(),
    };
    let error = emulator().read(source).unwrap_err();
    assert!(error.what().contains("lacks.metal:2"), "{error}");
    assert!(error.what().contains("no_such_header.h"), "{error}");
}

#[test]
fn what_gpus_forgive_is_a_fault_unless_it_is_forgiven() {
    let program = program();
    let kernel = kernel(&program, "sums_what_is_left", Build::Checked);
    for settings in [Schedule::Random, Schedule::Forward, Schedule::Reverse].map(by) {
        let launch = Launch::new(&kernel)
            .output(0, "out", 128)
            .constant(5, [false])
            .threadgroups([1, 1, 1])
            .group([32, 1, 1])
            .settings(settings);
        let strict = launch.clone().run().unwrap();
        assert_eq!(strict.report.faults[0].kind, "simd_divergence");
        let outcome = launch.forgiving(true).run().unwrap();
        assert!(outcome.report.faults.is_empty(), "{:?}", outcome.report);
        let out = outcome.values::<f32>(0);
        for (i, value) in (0u16..).zip(&out[..19]) {
            assert_eq!(*value, 190.0 + f32::from(i) + 1.0);
        }
        // The neighbour of the last one has returned: no number that anybody would expect.
        assert_ne!(out[19], 190.0 + 19.0 + 20.0);
        assert_eq!(out[20..], [-1.0; 12]);
    }
}

fn by(schedule: Schedule) -> Settings {
    Settings {
        schedule,
        ..Settings::default()
    }
}
