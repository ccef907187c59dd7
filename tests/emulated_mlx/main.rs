//! MLX's Metal backend on the emulated GPU: its host code and its kernels, checked. Needs clang++
//! and what `cargo xtask setup-mlx` built; builds what else it needs.

#![cfg(not(target_os = "macos"))]

mod framework;
#[path = "../common/machine.rs"]
mod machine;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Once;

use mlx_fork::build::Options;
use mlx_fork::config::Config;
use mlx_fork::emulator::{Build, host};
use mlx_fork::layout::Layout;
use mlx_fork::ui::Silent;

fn layout() -> Layout {
    Layout::discover().unwrap()
}

/// Builds the framework, and MLX with it, where it is not up to date: once for all tests, which
/// would take each other for the leftovers of an earlier run.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let layout = layout();
        let config = Config::load(&layout).unwrap();
        host::build(&layout, &config, &Options::default(), &Silent).unwrap();
    });
}

/// One process runs all cases: each new kernel costs a compiler's run, which they share.
#[test]
fn mlx_computes_on_the_emulated_gpu_what_it_computes_on_the_cpu() {
    build();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulated_mlx/cases.py");
    let args = [OsString::from(cases)];
    let output = host::python(&layout(), machine::xtask(), Build::Checked, &args)
        .unwrap()
        .output()
        .unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(output.success(), "{said}");
    // A runner that found no case is none that passed.
    assert!(said.contains("Ran 14 tests"), "{said}");
}

#[test]
fn the_framework_does_as_metal_does() {
    build();
    framework::each_use_of_metal_comes_to_what_it_should();
    framework::launches_that_nothing_orders_run_in_either_order();
    framework::what_does_not_end_is_ended();
    framework::faults_are_tolerated_where_a_launch_can_go_on();
}
