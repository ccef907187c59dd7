//! What emulates AArch64 for the kernels' tests: wanted on some machines, needed on none.

use mlx_fork::build::clang;
use mlx_fork::build::doctor::Fitness;
use mlx_fork::build::emulation::Emulation;

use super::{Machine, row};

#[test]
fn an_emulated_processor_is_optional_and_its_compiler_must_compile() {
    if !Emulation::WANTED {
        return;
    }
    let machine = Machine::bare();
    let report = machine.examine();
    for (what, package) in [
        ("AArch64 compiler", "g++-aarch64-linux-gnu"),
        ("qemu", "qemu-user"),
    ] {
        let row = row(&report, what);
        assert_eq!(row.fitness, Fitness::OptionalLacking, "{row:#?}");
        assert!(row.mend.as_deref().unwrap().ends_with(package), "{row:#?}");
    }
    let error = Emulation::find(&machine.system).unwrap_err();
    let hints = error.hints().join("\n");
    assert!(hints.contains("g++-aarch64-linux-gnu"), "{hints}");
    assert!(hints.contains("qemu-user"), "{hints}");
    machine.broken(
        "aarch64-linux-gnu-g++",
        "12.2.0",
        "echo 'ld: error: cannot find -lc' >&2; exit 1",
    );
    machine.broken("qemu-aarch64", "7.2.0", "exit 1");
    let report = machine.examine();
    let compiler = row(&report, "AArch64 compiler");
    assert_eq!(compiler.fitness, Fitness::OptionalLacking);
    assert!(compiler.note.contains("cannot find -lc"), "{compiler:#?}");
    // Without a program it has nothing to run, and is not blamed.
    assert_eq!(row(&report, "qemu").fitness, Fitness::Fit);
}

#[test]
fn clang_is_optional_and_must_be_new_enough() {
    let machine = Machine::bare();
    let report = machine.examine();
    let none = row(&report, "clang");
    assert_eq!(none.fitness, Fitness::OptionalLacking, "{none:#?}");
    assert_eq!(none.note, "no clang++ 14 or later on PATH");
    let mend = none.mend.as_deref().unwrap();
    assert!(mend.ends_with(" clang"), "{none:#?}");
    let error = clang::needed(&machine.system).unwrap_err();
    assert!(error.hints()[0].contains(" clang"), "{error:?}");
    machine.broken("clang++", "13.0.1", "exit 1");
    let old = clang::find(&machine.system).unwrap_err();
    assert!(old.why.contains("is 13.0.1, older than 14"), "{old:?}");
    // One under a name with its version serves as well; it must compile.
    machine.broken("clang++-16", "16.0.6", "echo 'broken' >&2; exit 1");
    assert_eq!(clang::find(&machine.system).unwrap().version, "16.0.6");
    let report = machine.examine();
    let broken = row(&report, "clang");
    assert_eq!(broken.fitness, Fitness::OptionalLacking, "{broken:#?}");
    assert!(broken.note.contains("broken"), "{broken:#?}");
}
