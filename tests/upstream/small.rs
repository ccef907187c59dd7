//! A small upstream with one op, and a feature `gather_sum` for it that stands on `fused`.

use std::fs;

use mlx_fork::config::Config;
use mlx_fork::ui::Silent;
use mlx_fork::upstream::prepare::{self, Prepared};
use mlx_fork::{Error, Result};

use crate::synthetic::{Files, Project, commit, fork_toml, mail, tree, with};

pub const OPS_H: &str = "// Copyright © 2023-2024 Apple Inc.\n\n#pragma once\n\n#include \"mlx/array.h\"\n\n\
namespace mlx::core {\n\n/** Gathers. */\nMLX_API array gather(\n    const array& a,\n    int axis = 0);\n\n\
} // namespace mlx::core\n";

pub const OPS_CPP: &str = "// Copyright © 2023-2024 Apple Inc.\n\n#include <cmath>\n\n#include \"mlx/ops.h\"\n\n\
namespace mlx::core {\n\narray gather(const array& a, int axis) {\n  return a;\n}\n\n\
array last() {\n  return array();\n}\n\n} // namespace mlx::core\n";

pub const BINDINGS: &str = "// Copyright © 2023-2024 Apple Inc.\n\n#include \"mlx/ops.h\"\n\n\
void init_ops(nb::module_& m) {\n  m.def(\n      \"gather\",\n      &mx::gather,\n      \
nb::sig(\"def gather(a: array, axis: Optional[int] = None) -> array\"));\n}\n";

/// What upstream asks of a pull request.
pub const FORM: (&str, &str) = (
    ".github/pull_request_template.md",
    "- I understand it is strictly prohibited\n- AI usage disclosure: \n",
);

const HEADER: &str = "// Copyright © 2026 The mlx-fork authors\n\n";

pub fn upstream() -> Files {
    let hooks =
        "repos:\n- repo: https://example.org/hooks\n  rev: v6.0.0\n  hooks:\n  - id: check-yaml\n";
    vec![
        (FORM.0, FORM.1.into(), 0o100644),
        (".pre-commit-config.yaml", hooks.into(), 0o100644),
        (
            "docs/src/python/ops.rst",
            "   floor\n   gather\n   greater\n".into(),
            0o100644,
        ),
        (
            "mlx/CMakeLists.txt",
            "target_sources(\n  mlx\n  PRIVATE a.cpp\n          ops.cpp\n          b.cpp)\n".into(),
            0o100644,
        ),
        (
            "mlx/export.cpp",
            "table = {\n      SERIALIZE_PRIMITIVE(Gather),\n};\n".into(),
            0o100644,
        ),
        ("mlx/ops.cpp", OPS_CPP.into(), 0o100644),
        ("mlx/ops.h", OPS_H.into(), 0o100644),
        ("python/src/ops.cpp", BINDINGS.into(), 0o100644),
        (
            "tests/CMakeLists.txt",
            "target_sources(\n  tests\n  PRIVATE ops_tests.cpp\n          last_tests.cpp)\n".into(),
            0o100644,
        ),
    ]
}

/// The overlay: path in the project (below mlx_primitives), path in the fork, text.
pub fn overlay() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        (
            "path.h",
            "mlx/fused/path.h",
            "#pragma once\nvoid record_path(const char*);\n",
        ),
        (
            "helper.h",
            "mlx/fused/helper.h",
            "#pragma once\n// As in mlx/fused/helper.cpp.\nint help();\n",
        ),
        (
            "helper.cpp",
            "mlx/fused/helper.cpp",
            "#include \"mlx/fused/helper.h\"\n#include \"mlx/fused/path.h\"\n\nint help() {\n  \
             // Which way.\n  fused::record_path(\n      \"a;b\");\n#ifdef MLX_FUSED_METALLIB\n  \
             return 2;\n#else\n  return 1;\n#endif\n}\n",
        ),
        (
            "gather_sum.h",
            "mlx/fused/gather_sum.h",
            "#pragma once\n\n#include \"mlx/array.h\"\n\nnamespace mlx::core {\n\n/** Adds up. */\n\
             MLX_API array gather_sum(const array& a);\n\n} // namespace mlx::core\n",
        ),
        (
            "gather_sum.cpp",
            "mlx/fused/gather_sum.cpp",
            "#include \"mlx/fused/gather_sum.h\"\n#include \"mlx/fused/helper.h\"\n\nnamespace mlx::core {\n\n\
             namespace {\n\n// One more.\nint more(int n) {\n  return n + 1;\n}\n\n} // namespace\n\n\
             array gather_sum(const array& a) {\n  return array(more(help()));\n}\n\n} // namespace mlx::core\n",
        ),
        (
            "python.cpp",
            "python/src/gather_sum.cpp",
            "#include \"mlx/fused/gather_sum.h\"\n\nvoid init_gather_sum(nb::module_& m) {\n  m.def(\n      \
             \"gather_sum\",\n      nb::sig(\n          \"def gather_sum(a: Optional[array]) -> array\"),\n      R\"doc(\n        } ; (\n      )doc\");\n}\n",
        ),
        (
            "tests.cpp",
            "tests/gather_sum_tests.cpp",
            "#include \"mlx/fused/gather_sum.h\"\n#include \"mlx/fused/path.h\"\n\nTEST_CASE(\"sum\") {\n  \
             CHECK(gather_sum(array(1)).item<int>() == 2);\n  CHECK_EQ(\n      \
             fused::last_path(\"sum\"), fused::Path::fast);\n}\n",
        ),
    ]
}

pub const MANIFEST: &str = r#"
budget = 1000
names = ["mlx-fork", "mlx_fork", "mlx_primitives"]

[header]
ours = "Copyright © 2026 The mlx-fork authors"
theirs = "Copyright © 2026 Apple Inc."

[fork-only]
statements = ["fused::record_path", "fused::last_path"]
macros = ["MLX_FUSED_METALLIB"]

[[list]]
file = "mlx/CMakeLists.txt"
after = "ops.cpp"
row = "{}"

[[list]]
file = "tests/CMakeLists.txt"
after = "PRIVATE ops_tests.cpp"
row = "        {}"

[feature.fused]
move = [["mlx/fused/", "mlx/backend/fused/"]]
leave = ["mlx/fused/path.h"]

[feature.gather_sum]
move = [["tests/gather_sum_tests.cpp", "tests/gather_sum_tests.cpp"]]
frame = ["void init_gather_sum(nb::module_& m) {"]
include = { "mlx/fused/gather_sum.h" = ["mlx/ops.h"] }

[[feature.gather_sum.section]]
from = "mlx/fused/gather_sum.h"
items = ["MLX_API array gather_sum("]
into = "mlx/ops.h"
after = "MLX_API array gather("

[[feature.gather_sum.section]]
from = "mlx/fused/gather_sum.cpp"
items = ["array gather_sum("]
into = "mlx/ops.cpp"
after = "array gather("
includes = ["mlx/backend/fused/helper.h", "<numeric>"]

[[feature.gather_sum.section]]
from = "mlx/fused/gather_sum.cpp"
items = ["int more("]
anonymous = true
into = "mlx/ops.cpp"
before = "array gather_sum("

[[feature.gather_sum.section]]
from = "python/src/gather_sum.cpp"
items = ['m.def("gather_sum",']
into = "python/src/ops.cpp"
after = 'm.def("gather",'

[[feature.gather_sum.line]]
into = "mlx/export.cpp"
after = "SERIALIZE_PRIMITIVE(Gather),"
lines = ["SERIALIZE_PRIMITIVE(GatherSum),"]

[[feature.gather_sum.line]]
into = "docs/src/python/ops.rst"
after = "gather"
lines = ["gather_sum"]
"#;

/// The project. Its pin has a config, and `mlx_local` an author.
pub struct Small {
    pub project: Project,
    pub config: Config,
}

impl Small {
    pub fn new() -> Self {
        let project = Project::new();
        let repo = project.repo();
        let before = tree(&repo, &upstream());
        let pin = commit(&repo, before);
        repo.reference("refs/mlx-fork/pins/base", pin, true, "")
            .unwrap();
        let hook = |path, from, to: &str| tree(&repo, &with(upstream(), path, from, to));
        let fused = hook("mlx/CMakeLists.txt", "b.cpp", "b.cpp c.cpp");
        let sum = hook(
            "docs/src/python/ops.rst",
            "gather\n",
            "gather\n   gather_sum\n",
        );
        project.patch("0001-fused.patch", mail(&repo, "fused", before, fused));
        project.patch("0002-second.patch", mail(&repo, "gather_sum", before, sum));
        let rows = |sum: bool| -> String {
            let files = overlay().into_iter();
            let files = files.filter(|(_, to, _)| to.contains("sum") == sum);
            files
                .map(|(from, to, _)| format!("  [\"mlx_primitives/{from}\", \"{to}\"],\n"))
                .collect()
        };
        project.manifest(&format!(
            "base = \"base\"\n[[feature]]\nname = \"fused\"\npatch = \"0001-fused.patch\"\noverlay = [\n{}]\n\
             [[feature]]\nname = \"gather_sum\"\npatch = \"0002-second.patch\"\nrequires = [\"fused\"]\noverlay = [\n{}]\n\
             probes.python = [\"gather_sum\"]\n",
            rows(false),
            rows(true)
        ));
        for (name, _, text) in overlay() {
            project.own(name, &format!("{HEADER}{text}"));
        }
        let repo_config = [("user.name", "A Person"), ("user.email", "a@person")];
        for (key, value) in repo_config {
            project.git(&["config", key, value]);
        }
        let config = Config::parse(&fork_toml(pin, before)).unwrap();
        let small = Small { project, config };
        small.upstream_toml(MANIFEST);
        small
    }

    pub fn upstream_toml(&self, text: &str) {
        fs::write(self.project.layout.patches().join("upstream.toml"), text).unwrap();
    }

    /// The manifest with one text replaced by another.
    pub fn amended(&self, from: &str, to: &str) {
        assert!(MANIFEST.contains(from), "{from}");
        self.upstream_toml(&MANIFEST.replacen(from, to, 1));
    }

    pub fn prepare(&self) -> Result<Prepared> {
        prepare::prepare(
            &self.project.layout,
            &self.config,
            "gather_sum",
            None,
            &Silent,
        )
    }

    pub fn refused(&self) -> Error {
        match self.prepare() {
            Ok(_) => panic!("it was prepared"),
            Err(error) => error,
        }
    }

    /// The text of a file as it was prepared.
    pub fn text(&self, path: &str) -> String {
        self.prepare().unwrap().changes[path].after.clone()
    }
}
