//! The sanitizers can fail: a fault of each kind, put into the copied sources, is reported as
//! the case that met it. Needs GCC and the stock that `cargo xtask setup-mlx` built.
#![cfg(target_os = "linux")]

#[path = "common/machine.rs"]
mod machine;

use machine::{tools, xtask};
use mlx_fork::build::{Options, Variant};
use mlx_fork::layout::Layout;
use mlx_fork::parity::{self, Plan};
use mlx_fork::sanitize::{Sanitizer, brief};
use mlx_fork::ui::Silent;

/// Builds the sanitizer's variant with `fault` in the body of record_path, which every
/// evaluation calls, and gives what is said of the one case that is run on it.
fn found(sanitizer: Sanitizer, include: &str, fault: &str) -> String {
    let layout = Layout::discover().unwrap();
    let options = Options {
        python: false,
        ..Options::default()
    };
    let variant = Variant::open(&layout, &options, tools(), &sanitizer.recipe(), &Silent).unwrap();
    let text = std::fs::read_to_string(variant.sources().join("path.cpp")).unwrap();
    let head = "void record_path(const std::string& op, Path path) {";
    assert_eq!(text.matches(head).count(), 1);
    let text = text.replace(head, &format!("{head}\n{{ {fault} }}"));
    let text = format!("#include <{include}>\n{text}");
    variant.write("path.cpp", &text).unwrap();
    variant.build(&Silent).unwrap();
    let plan = Plan {
        filter: Some("gather_qmm_swiglu/affine-b4-g64/f32/exact".into()),
        ..sanitizer.plan(variant.library(), tools()).unwrap()
    };
    let report = parity::run(&layout, &plan, xtask(), &Silent).unwrap();
    variant.restore("path.cpp").unwrap();
    assert_eq!((report.planned, report.reported, report.failed), (1, 1, 1));
    brief(&report.cases[0].reasons.join("\n"))
}

#[test]
fn a_write_beyond_a_heap_block_is_reported_with_its_place() {
    let fault = "volatile int n = 4; auto p = new int[n]; p[n] = 1; delete[] p;";
    let said = found(Sanitizer::Address, "vector", fault);
    assert!(said.contains("heap-buffer-overflow"), "{said}");
    assert!(said.contains("record_path"), "{said}");
}

#[test]
fn an_index_beyond_a_vector_inside_its_block_is_reported() {
    let fault = "std::vector<int> v; v.reserve(8); volatile int n = 4; v[n] = 1;";
    let said = found(Sanitizer::Address, "vector", fault);
    assert!(said.contains("Assertion '"), "{said}");
}

#[test]
fn overflows_and_shifts_too_far_are_reported() {
    let overflow = "volatile int big = 2147483647; volatile int sum = big + 1; (void)sum;";
    let said = found(Sanitizer::Undefined, "vector", overflow);
    assert!(said.contains("signed integer overflow"), "{said}");
    let shift = "volatile int far = 40; volatile int shifted = 1 << far; (void)shifted;";
    let said = found(Sanitizer::Undefined, "vector", shift);
    assert!(said.contains("shift exponent 40 is too large"), "{said}");
}

#[test]
fn a_race_of_two_threads_is_reported() {
    let fault = "static int shared = 0; auto add = [] { for (int i = 0; i < 1000; ++i) ++shared; };\
                 std::thread a(add), b(add); a.join(); b.join();";
    let said = found(Sanitizer::Thread, "thread", fault);
    assert!(said.contains("data race"), "{said}");
}
