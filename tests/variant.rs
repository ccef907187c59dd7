//! Variants of the overlay's build, compiled for real against the stock that
//! `cargo xtask setup-mlx` built, and judged by parity alone.

#[path = "common/machine.rs"]
mod machine;

use machine::{tools, xtask};
use mlx_fork::Kind;
use mlx_fork::build::{Options, Recipe, Variant};
use mlx_fork::layout::Layout;
use mlx_fork::parity::{self, Plan, Report};
use mlx_fork::ui::Silent;

fn options() -> Options {
    Options {
        python: false,
        ..Options::default()
    }
}

fn recipe() -> Recipe {
    Recipe {
        name: "test".into(),
        compile: vec!["-O1".into()],
        link: Vec::new(),
    }
}

fn judged(layout: &Layout, variant: &Variant) -> Report {
    let plan = Plan {
        filter: Some("gather_qmm_swiglu/affine-b4-g64/f32/exact".into()),
        library: Some(variant.library()),
        stock: false,
        ..Plan::default()
    };
    parity::run(layout, &plan, xtask(), &Silent).unwrap()
}

#[test]
fn an_edit_is_compiled_alone_judged_and_undone() {
    let (layout, options, recipe) = (Layout::discover().unwrap(), options(), recipe());
    let open = || Variant::open(&layout, &options, tools(), &recipe, &Silent).unwrap();
    let file = "path.cpp";
    let text = std::fs::read_to_string(layout.root().join("mlx_primitives").join(file)).unwrap();

    let variant = open();
    // Where the extension's cmake file looks for them on a Mac.
    let kernels = variant.sources().join("../metal");
    assert!(kernels.join("fused/kernels.cmake").is_file());
    assert!(kernels.join("gather_qmm_swiglu.metal").is_file());
    variant.build(&Silent).unwrap();
    let report = judged(&layout, &variant);
    report.check().unwrap();
    assert_eq!(report.fork_id, "variant-test");
    assert_eq!(report.cases[0].stock.outcome, "not run");

    let (right, wrong) = ("p.last[op] = path;", "p.last[op] = Path::composition;");
    assert!(text.contains(right));
    variant.write(file, &text.replace(right, wrong)).unwrap();
    let compiled = variant.build(&Silent).unwrap();
    let names: Vec<&str> = compiled.iter().map(String::as_str).collect();
    assert!(names.len() == 1 && names[0].ends_with(file), "{names:?}");
    assert_eq!(judged(&layout, &variant).failed, 1);

    // A run that ends here leaves its edit behind; the next one undoes it.
    drop(variant);
    let variant = open();
    assert_eq!(variant.build(&Silent).unwrap().len(), 1);
    judged(&layout, &variant).check().unwrap();

    variant.write(file, "not C++").unwrap();
    assert_eq!(variant.build(&Silent).unwrap_err().kind(), Kind::Gate);
    variant.restore(file).unwrap();
    variant.build(&Silent).unwrap();
    assert_eq!(
        variant.write("no/such.cpp", "").unwrap_err().kind(),
        Kind::Environment
    );
}

#[test]
fn without_stock_there_is_nothing_to_compile_against() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::at(dir.path(), dir.path().join("target"));
    let options = options();
    let error = Variant::open(&layout, &options, tools(), &recipe(), &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.hints()[0].contains("setup-mlx"), "{error}");
}
