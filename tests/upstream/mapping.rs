//! What `patches/upstream.toml` says is done, and what it doesn't say is refused.

use mlx_fork::Kind;

use crate::small::{MANIFEST, Small, overlay};
use crate::synthetic::{commit, tree, with};

#[test]
fn every_file_stands_where_upstream_would_have_it() {
    let small = Small::new();
    let prepared = small.prepare().unwrap();
    let new = prepared.changes.iter().filter(|(_, c)| c.before.is_none());
    let new: Vec<&str> = new.map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        new,
        [
            "mlx/backend/fused/helper.cpp",
            "mlx/backend/fused/helper.h",
            "tests/gather_sum_tests.cpp"
        ]
    );
    assert_eq!(
        prepared.changes["mlx/backend/fused/helper.cpp"].after,
        "// Copyright © 2026 Apple Inc.\n\n#include \"mlx/backend/fused/helper.h\"\n\nint help() {\n  return 1;\n}\n"
    );
    let header = &prepared.changes["mlx/backend/fused/helper.h"].after;
    assert!(
        header.contains("// As in mlx/backend/fused/helper.cpp."),
        "{header}"
    );
}

#[test]
fn parts_go_into_upstreams_files_beside_their_like() {
    let small = Small::new();
    let ops = small.text("mlx/ops.cpp");
    assert!(
        ops.starts_with("// Copyright © 2023-2024 Apple Inc.\n\n#include <cmath>\n#include <numeric>\n\n#include \"mlx/ops.h\"\n#include \"mlx/backend/fused/helper.h\"\n"),
        "{ops}"
    );
    let inserted = "  return a;\n}\n\nnamespace {\n\n// One more.\nint more(int n) {\n  return n + 1;\n}\n\n} // namespace\n\narray gather_sum(const array& a) {\n  return array(more(help()));\n}\n\narray last() {\n";
    assert!(ops.contains(inserted), "{ops}");
    let header = small.text("mlx/ops.h");
    assert!(
        header.contains(
            "    int axis = 0);\n\n/** Adds up. */\nMLX_API array gather_sum(const array& a);\n\n}"
        ),
        "{header}"
    );
    let bindings = small.text("python/src/ops.cpp");
    assert!(
        bindings.ends_with("        } ; (\n      )doc\");\n}\n"),
        "{bindings}"
    );
    let rows = [
        (
            "mlx/CMakeLists.txt",
            "          ops.cpp\n          backend/fused/helper.cpp\n          b.cpp",
        ),
        (
            "tests/CMakeLists.txt",
            "  PRIVATE ops_tests.cpp\n          gather_sum_tests.cpp\n",
        ),
        (
            "docs/src/python/ops.rst",
            "   gather\n   gather_sum\n   greater\n",
        ),
        (
            "mlx/export.cpp",
            "(Gather),\n      SERIALIZE_PRIMITIVE(GatherSum),\n",
        ),
    ];
    for (path, text) in rows {
        let found = small.text(path);
        assert!(found.contains(text), "{path}: {found}");
    }
}

#[test]
fn what_only_the_fork_needs_stays_behind() {
    let test = Small::new().text("tests/gather_sum_tests.cpp");
    assert_eq!(
        test,
        "// Copyright © 2026 Apple Inc.\n\n#include \"mlx/ops.h\"\n\nTEST_CASE(\"sum\") {\n  \
         CHECK(gather_sum(array(1)).item<int>() == 2);\n}\n"
    );
}

#[test]
fn a_file_without_a_place_is_refused_by_name() {
    let small = Small::new();
    small.amended("leave = [\"mlx/fused/path.h\"]\n", "");
    small.upstream_toml(&MANIFEST.replacen("[[\"mlx/fused/\", \"mlx/backend/fused/\"]]", "[]", 1));
    let error = small.refused();
    assert_eq!(error.kind(), Kind::Usage);
    for name in ["mlx_primitives/helper.cpp", "mlx_primitives/helper.h"] {
        assert!(error.what().contains(name), "{error}");
    }
}

#[test]
fn a_line_that_no_section_takes_is_refused_and_shown() {
    let small = Small::new();
    let (_, _, text) = overlay().remove(4);
    let lost = text.replace("array gather_sum(", "int lost;\n\narray gather_sum(");
    small.project.own("gather_sum.cpp", &lost);
    let error = small.refused();
    assert!(
        error.what().contains("gather_sum.cpp: int lost;"),
        "{error}"
    );
}

#[test]
fn all_places_that_upstream_no_longer_has_are_told_at_once() {
    let mut small = Small::new();
    let repo = small.project.repo();
    let files = with(
        crate::small::upstream(),
        "mlx/export.cpp",
        "Gather)",
        "Gathers)",
    );
    let files = with(files, "mlx/ops.h", "array gather(", "array collect(");
    let id = tree(&repo, &files);
    let moved = commit(&repo, id);
    let pin = small.config.pins.get_mut("base").unwrap();
    (pin.commit, pin.tree) = (moved.to_string(), id.to_string());
    let error = small.refused();
    assert_eq!(error.kind(), Kind::Conflict);
    for place in [
        "mlx/export.cpp: no line says `SERIALIZE_PRIMITIVE(Gather),`",
        "mlx/ops.h: nothing begins with `MLX_API array gather(`",
    ] {
        assert!(error.what().contains(place), "{error}");
    }
}

#[test]
fn a_file_that_upstream_has_already_is_not_overwritten() {
    let small = Small::new();
    small.amended(
        "[[\"tests/gather_sum_tests.cpp\", \"tests/gather_sum_tests.cpp\"]]",
        "[[\"tests/gather_sum_tests.cpp\", \"mlx/ops.h\"]]",
    );
    let error = small.refused();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(
        error
            .what()
            .contains("mlx_primitives/tests.cpp goes to mlx/ops.h"),
        "{error}"
    );
}

#[test]
fn a_source_that_no_list_builds_is_refused() {
    let small = Small::new();
    small.amended(
        "file = \"tests/CMakeLists.txt\"",
        "file = \"docs/CMakeLists.txt\"",
    );
    let error = small.refused();
    assert!(
        error.what().contains("tests/gather_sum_tests.cpp"),
        "{error}"
    );
}
