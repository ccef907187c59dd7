//! Each rule about text, broken once on purpose: its row fails and names the place.

use mlx_fork::upstream::check::text::Subject;
use mlx_fork::upstream::check::{self, Outcome, Verdict};
use mlx_fork::upstream::prepare::Prepared;

use crate::small::Small;

/// A feature, and the project that it is in.
fn prepared() -> (Small, Prepared) {
    let small = Small::new();
    let prepared = small.prepare().unwrap();
    (small, prepared)
}

/// A prepared feature whose file was changed afterwards.
fn broken(path: &str, from: &str, to: &str) -> (Small, Prepared) {
    let (small, mut prepared) = prepared();
    let change = prepared.changes.get_mut(path).unwrap();
    assert!(change.after.contains(from), "{}", change.after);
    change.after = change.after.replacen(from, to, 1);
    (small, prepared)
}

fn fails(outcome: &Outcome, place: &str) {
    assert_eq!(outcome.verdict, Verdict::Failed, "{outcome:?}");
    assert_eq!(outcome.findings.len(), 1, "{outcome:?}");
    assert_eq!(outcome.findings[0].place, place, "{outcome:?}");
}

#[test]
fn a_feature_that_keeps_all_rules_has_no_finding() {
    let (_small, mut prepared) = prepared();
    let test = prepared.changes["tests/gather_sum_tests.cpp"].clone();
    let python = prepared
        .changes
        .entry("python/tests/test_gather_sum.py".into())
        .or_insert(test);
    python.after = "# Copyright © 2026 Apple Inc.\n\nmx.export_function(f)\n".into();
    let subject = Subject::of(&prepared).unwrap();
    let rows = [
        subject.headers().unwrap(),
        subject.names(),
        subject.docs(),
        subject.signatures(),
        subject.export(),
        subject.size(&prepared.stat),
    ];
    for row in rows {
        assert_eq!(row.verdict, Verdict::Ok, "{row:?}");
    }
}

#[test]
fn a_feature_that_there_is_not_is_refused_before_anything_is_built() {
    let small = Small::new();
    let layout = &small.project.layout;
    check::refuse_unknown(layout, "gather_sum").unwrap();
    for name in ["other", "fused"] {
        let error = check::refuse_unknown(layout, name).unwrap_err();
        assert_eq!(error.kind(), mlx_fork::Kind::Usage);
        assert!(error.hints()[0].contains("gather_sum"), "{error:?}");
    }
}

#[test]
fn a_header_that_is_not_upstreams_fails() {
    let (_small, prepared) = broken("tests/gather_sum_tests.cpp", "Apple Inc.", "Others");
    let subject = Subject::of(&prepared).unwrap();
    fails(&subject.headers().unwrap(), "tests/gather_sum_tests.cpp:1");
}

#[test]
fn a_name_of_this_project_fails_in_new_lines_alone() {
    for name in ["mlx-fork", "Mlx-Fork"] {
        let ours = format!("// As {name} does.");
        let (_small, prepared) = broken("mlx/ops.cpp", "// One more.", &ours);
        let line = prepared.changes["mlx/ops.cpp"].after.lines();
        let line = line.take_while(|line| !line.contains(name)).count() + 1;
        let subject = Subject::of(&prepared).unwrap();
        fails(&subject.names(), &format!("mlx/ops.cpp:{line}"));
    }
    let (_other, mut old) = self::prepared();
    let change = old.changes.get_mut("mlx/ops.cpp").unwrap();
    for text in [change.before.as_mut().unwrap(), &mut change.after] {
        *text = text.replacen("<cmath>", "<cmath> // mlx-fork", 1);
    }
    assert_eq!(Subject::of(&old).unwrap().names().verdict, Verdict::Ok);
}

#[test]
fn a_function_without_its_row_in_the_documentation_fails() {
    let (_small, prepared) = broken("docs/src/python/ops.rst", "gather_sum", "gather_sums");
    let subject = Subject::of(&prepared).unwrap();
    fails(&subject.docs(), "docs/src/python/ops.rst");
}

#[test]
fn a_binding_without_a_signature_or_with_one_out_of_use_fails() {
    let (_small, prepared) = broken("python/src/ops.cpp", "def gather_sum(", "gather_sum(");
    fails(
        &Subject::of(&prepared).unwrap().signatures(),
        "python/src/ops.cpp",
    );
    let (_small, prepared) = self::prepared();
    let mut subject = Subject::of(&prepared).unwrap();
    subject.bindings = subject.bindings.replace("Optional[int]", "int | None");
    let row = subject.signatures();
    assert!(row.findings[0].what.contains("Optional["), "{row:?}");
}

#[test]
fn a_primitive_that_cannot_be_exported_or_is_not_tested_for_it_fails() {
    let (_small, prepared) = prepared();
    fails(&Subject::of(&prepared).unwrap().export(), "python/tests");
    let (_small, prepared) = broken("mlx/export.cpp", "SERIALIZE_PRIMITIVE(GatherSum)", "others");
    let row = Subject::of(&prepared).unwrap().export();
    assert!(
        row.findings.iter().any(|f| f.place == "mlx/export.cpp"),
        "{row:?}"
    );
}

#[test]
fn a_diff_over_its_budget_is_a_warning_that_names_the_largest_files() {
    let (_small, mut prepared) = prepared();
    prepared.manifest.budget = 10;
    let row = Subject::of(&prepared).unwrap().size(&prepared.stat);
    assert_eq!(row.verdict, Verdict::Warning);
    assert_eq!(row.findings.len(), 5);
}
