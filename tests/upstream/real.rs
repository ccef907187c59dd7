//! The real primitives on the real MLX of `mlx_local`. Needs what `cargo xtask setup-mlx` made.

use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::ui::Silent;
use mlx_fork::upstream::check::runs::Tests;
use mlx_fork::upstream::check::{self, Outcome, Request, Verdict};
use mlx_fork::upstream::prepare;

fn project() -> (Layout, Config) {
    let layout = Layout::discover().unwrap();
    let config = Config::load(&layout).unwrap();
    (layout, config)
}

#[test]
#[ignore = "builds MLX for upstream's tree: half an hour, minutes with ccache"]
fn a_prepared_feature_builds_and_passes_its_tests_on_both_pins() {
    let (layout, config) = project();
    for onto in ["v0.31.2", "main-2026-06-20"] {
        for feature in ["gather_qmm_swiglu", "gather_qmm_downproj_combine"] {
            let onto = Some(onto);
            let prepared = prepare::prepare(&layout, &config, feature, onto, &Silent).unwrap();
            let built = prepare::build::build(&layout, &config, &prepared, &Silent).unwrap();
            built.verdict().unwrap();
            assert_eq!(built.suites.len(), 3, "{built:?}");
        }
    }
}

#[test]
#[ignore = "runs the features' tests on stock and fork: two minutes"]
fn the_features_keep_upstreams_rules() {
    let (layout, config) = project();
    for feature in ["gather_qmm_swiglu", "gather_qmm_downproj_combine"] {
        let request = Request {
            feature,
            onto: None,
            builds: false,
        };
        let report = check::check(&layout, &config, request, &Silent).unwrap();
        report.verdict().unwrap();
        let tests = report
            .rows
            .iter()
            .filter(|row| row.rule.contains("without the change"));
        assert!(
            tests.clone().all(|row| row.verdict == Verdict::Ok),
            "{report:?}"
        );
        assert_eq!(tests.count(), 2);
    }
}

/// The project's own mapping, on both pins, with upstream's formatters: no build.
#[test]
#[ignore = "needs PyPI for upstream's formatters"]
fn each_formatter_finds_what_is_not_as_it_would_write_it() {
    let (layout, config) = project();
    let mut prepared =
        prepare::prepare(&layout, &config, "gather_qmm_swiglu", None, &Silent).unwrap();
    let breaks = [
        (
            "clang-format",
            "mlx/fused_indexing.cpp",
            "Shape batch_shape(const array& a) {",
            "Shape  batch_shape(const array& a) {",
        ),
        (
            "clang-format",
            "mlx/ops.cpp",
            "array gather_qmm_swiglu(",
            "array  gather_qmm_swiglu(",
        ),
        (
            "black",
            "python/tests/fused_reference.py",
            "FP4 = np",
            "FP4  = np",
        ),
        (
            "isort",
            "python/tests/fused_reference.py",
            "import mlx.core as mx\nimport numpy as np\n",
            "import numpy as np\nimport mlx.core as mx\n",
        ),
        (
            "cmake-format",
            "mlx/CMakeLists.txt",
            "  PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/array.cpp",
            "  PRIVATE   ${CMAKE_CURRENT_SOURCE_DIR}/array.cpp",
        ),
    ];
    for (hook, path, from, to) in breaks {
        let change = prepared.changes.get_mut(path).unwrap();
        let right = change.after.clone();
        assert!(right.contains(from), "{path} has no {from}");
        change.after = right.replacen(from, to, 1);
        let place = prepared.formatters.folder().join(path);
        std::fs::write(&place, &change.after).unwrap();
        let hooks = prepared.formatters.hooks.iter();
        let found = hooks.clone().find(|found| found.id == hook).unwrap();
        let row = check::style::row(&prepared, found, Vec::new()).unwrap();
        assert_eq!(row.verdict, Verdict::Failed, "{hook} {path}");
        let line = right[..right.find(from).unwrap()].lines().count() + 1;
        assert_eq!(row.findings.len(), 1, "{row:?}");
        assert!(row.findings[0].place.starts_with(path), "{row:?}");
        if hook != "isort" {
            assert_eq!(row.findings[0].place, format!("{path}:{line}"));
        }
        std::fs::write(&place, &right).unwrap();
        prepared.changes.get_mut(path).unwrap().after = right;
    }
}

/// Tests that would pass without the change, and ones that are not there.
#[test]
#[ignore = "needs PyPI for upstream's formatters, and the builds of setup-mlx"]
fn a_test_that_says_nothing_of_the_feature_fails_its_rule() {
    const CPP: &str = "tests/gather_qmm_swiglu_tests.cpp";
    const PYTHON: &str = "python/tests/test_gather_qmm_swiglu.py";
    const TRANSFORMS: &str = "python/tests/test_gather_qmm_swiglu_transforms.py";
    let (layout, config) = project();
    let whole = || prepare::prepare(&layout, &config, "gather_qmm_swiglu", None, &Silent).unwrap();
    let fails = |outcome: Outcome, what: &str| {
        assert_eq!(outcome.verdict, Verdict::Failed, "{outcome:?}");
        let said = outcome.findings.iter().map(|finding| finding.what.as_str());
        let said: Vec<&str> = said.chain([outcome.note.as_str()]).collect();
        assert!(said.iter().any(|said| said.contains(what)), "{said:?}");
    };

    // Each holds the feature's folder while it lives.
    {
        let mut prepared = whole();
        let cpp = &mut prepared.changes.get_mut(CPP).unwrap().after;
        *cpp =
            "#include \"doctest/doctest.h\"\nTEST_CASE(\"test one\") {\n  CHECK(true);\n}\n".into();
        let tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        fails(tests.cpp(&Silent).unwrap(), "compiles against stock MLX");
    }

    {
        let mut prepared = whole();
        let cpp = &mut prepared.changes.get_mut(CPP).unwrap().after;
        cpp.push_str("\nTEST_CASE(\"of nothing\") {\n  CHECK(array(1).size() == 1);\n}\n");
        let tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        let outcome = tests.cpp(&Silent).unwrap();
        assert_eq!(outcome.findings.len(), 1, "{outcome:?}");
        fails(outcome, "\"of nothing\" compiles against stock MLX");
    }

    {
        let mut prepared = whole();
        prepared.changes.get_mut(CPP).unwrap().after = "int other = missing;\n".into();
        let tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        fails(tests.cpp(&Silent).unwrap(), "another reason");
    }

    {
        let mut prepared = whole();
        let empty = "import unittest\n\n\nclass TestNothing(unittest.TestCase):\n    def test_one(self):\n        pass\n";
        prepared.changes.remove(TRANSFORMS);
        prepared.changes.get_mut(PYTHON).unwrap().after = empty.into();
        std::fs::write(prepared.folder().join(PYTHON), empty).unwrap();
        let tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        fails(tests.python(&Silent).unwrap(), "passes on stock MLX");
        fails(tests.export(&Silent).unwrap(), "no Python test calls");
    }

    {
        let prepared = whole();
        let place = prepared.folder().join(PYTHON);
        let text = std::fs::read_to_string(&place).unwrap();
        let of_nothing = "    def test_of_nothing(self):\n        pass\n\n    def test_";
        std::fs::write(&place, text.replacen("    def test_", of_nothing, 1)).unwrap();
        let tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        let outcome = tests.python(&Silent).unwrap();
        assert_eq!(outcome.findings.len(), 1, "{outcome:?}");
        fails(outcome, "test_of_nothing passes on stock MLX");
    }

    {
        let mut prepared = whole();
        for path in [CPP, PYTHON, TRANSFORMS] {
            prepared.changes.remove(path);
        }
        let tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        fails(tests.cpp(&Silent).unwrap(), "there are none");
        fails(tests.python(&Silent).unwrap(), "there are none");
    }

    {
        let prepared = whole();
        let mut tests = Tests::of(&layout, &config, &prepared, &Silent).unwrap();
        tests.functions = vec!["gather_qmm".into(), "no_such_op".into()];
        fails(tests.stubs().unwrap(), "no `def no_such_op(");
        fails(tests.stubs().unwrap(), "stock has `def gather_qmm(");
    }
}
