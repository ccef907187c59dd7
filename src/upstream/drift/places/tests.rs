use super::*;
use crate::series::patch::Hunk;

/// The place of the line that has `@`.
fn at(path: &str, text: &str) -> Vec<String> {
    let line = text.lines().position(|line| line.contains('@')).unwrap() + 1;
    place_of(path, text.as_bytes(), line).0
}

#[test]
fn a_place_in_cpp_is_its_namespaces_types_functions_and_blocks() {
    let text = "namespace a::b {\nnamespace {\n#ifdef X\nint i = 1; // {\n#endif\n\
        template <typename T, class U>\nstruct S : public T {\n\
        S(int a) : a_(a), b_{2} {\n  auto s = \"}{\";\n  if (a > f(1, 2)) {\n  } else if (b) {\n\
        g(a, [&](int x) {\n@\n";
    assert_eq!(
        at("x.cpp", text),
        [
            "namespace a::b",
            "namespace",
            "struct S",
            "S()",
            "else if ( b )",
            "g(",
            "lambda"
        ]
    );
    let list = "struct F {\n  std::map<std::string, int> table = {\n  ONE(A),\n#include \"x\"\n@\n  TWO(B)\n};\n};\n";
    assert_eq!(at("x.h", list), ["struct F", "table ="]);
    let kernel = "template <int N>\n[[kernel]] void k(\n    device T* x [[buffer(0)]],\n    int y) {\n@\n}\n";
    assert_eq!(at("x.metal", kernel), ["k()"]);
}

#[test]
fn a_condition_of_the_preprocessor_is_a_place_and_its_branches_dont_add_up() {
    let text = "void f() {\n#if A > 1 // why\n  if (x) {\n#else\n  if (y) {\n#endif\n@\n  }\n}\nvoid g() {\n#\n";
    assert_eq!(at("x.cpp", text), ["f()", "if ( y )"]);
    let inside = "void f() {\n#if A  >  1 // why\n  g();\n#else\n@\n#endif\n}\n";
    assert_eq!(at("x.cpp", inside), ["f()", "#if A > 1 #else"]);
    let text = "void f() {\n  int a;\n}\nvoid g(int b) {\n@\n}\n";
    assert_eq!(at("x.cpp", text), ["g()"]);
}

#[test]
fn a_place_in_cmake_is_its_conditions_and_its_command() {
    let text = "if(NOT A # )\n   OR (B))\n  set(X \"(\")\nelseif(C)\n  target_sources(\n    mlx\n    PRIVATE\n@\n";
    assert_eq!(
        at("mlx/CMakeLists.txt", text),
        ["if(NOT A OR (B)) elseif(C)", "target_sources(mlx"]
    );
    let text = "if(A)\n  f()\nelse()\n  g()\nendif()\n@\n";
    assert_eq!(at("x.cmake", text), [""; 0]);
}

#[test]
fn a_place_in_documentation_is_its_headings_and_its_directive() {
    let text = "Title\n=====\n\nOps\n---\n\n.. autosummary::\n   :toctree: _x\n\n   one\n@  two\n\nMore\n----\n";
    assert_eq!(at("ops.rst", text), ["Title", "Ops"]);
    let text = text.replace("@  two", "   @two");
    assert_eq!(at("ops.rst", &text), ["Title", "Ops", ".. autosummary::"]);
    let text = "# A\n```\n# no heading\n```\n## B\n# C\n### D\n@\n";
    assert_eq!(at("README.md", text), ["C", "D"]);
}

#[test]
fn a_place_in_python_is_its_classes_functions_and_blocks() {
    let text = "class A(B):\n    def f(self, x=\"(\"):\n        \"\"\"Doc\n    def no():\n\"\"\"\n        y = g(\n    1)\n        if x:\n            @\n";
    assert_eq!(at("x.py", text), ["class A", "def f", "if x"]);
}

const BEFORE: &str = "int f() {\n  one();\n  two();\n}\nint g() {\n  three();\n  four();\n}\n";

/// A hook after `two();`, and what became of it in `result`, made from `there`.
fn asked(there: &str, result: &str) -> Vec<(What, String)> {
    let line = |side, text: &str| (side, format!("{text}\n").into_bytes());
    let hunk = Hunk {
        header: "@@ -2,3 +2,4 @@".into(),
        old_start: 2,
        new_start: 2,
        lines: vec![
            line(Side::Both, "  one();"),
            line(Side::Both, "  two();"),
            line(Side::New, "  hook();"),
            line(Side::Both, "}"),
        ],
    };
    let after = BEFORE.replace("two();\n", "two();\n  hook();\n");
    let findings = check(&Carried {
        path: "x.cpp",
        hunks: &[hunk],
        pin: (BEFORE.as_bytes(), after.as_bytes()),
        there: (there.as_bytes(), result.as_bytes()),
    });
    let shown = |finding: Finding| (finding.what, finding.to_string());
    findings.unwrap().into_iter().map(shown).collect()
}

#[test]
fn a_hook_that_only_moved_with_its_function_is_in_its_place() {
    let there = format!(
        "int e() {{\n}}\n{}",
        BEFORE.replace("int f()", "long f(int x)")
    );
    let result = there.replace("two();\n", "two();\n  hook();\n");
    assert_eq!(asked(&there, &result), []);
}

#[test]
fn a_hook_in_another_function_is_misplaced_and_says_where_it_is() {
    let there = BEFORE.replace(
        "int f() {\n  one();\n  two();\n}\n",
        "int f() {\n}\nint h() {\n  one();\n  two();\n}\n",
    );
    let result = there.replace("two();\n", "two();\n  hook();\n");
    assert_eq!(
        asked(&there, &result),
        [(
            What::Misplaced,
            "it is at line 6 in `h()`, and was in `f()`".to_string()
        )]
    );
}

#[test]
fn a_hook_that_is_gone_is_lost_and_one_that_upstream_has_too_is_doubled() {
    assert_eq!(asked(BEFORE, BEFORE)[0].0, What::Lost);
    let there = BEFORE.replace("four();\n", "four();\n  hook();\n");
    let result = there.replace("two();\n", "two();\n  hook();\n");
    assert_eq!(asked(&there, &result)[0].0, What::Doubled);
}

#[test]
fn a_hook_in_its_place_stays_so_beside_lines_like_it() {
    // Upstream's own line of the same words in another function, on both sides.
    let there = BEFORE.replace("one();\n", "one();\n  zero();\n");
    let result = there.replace("two();\n", "two();\n  hook();\n  more();\n");
    assert_eq!(asked(&there, &result), []);
}

#[test]
fn a_hook_that_a_person_put_elsewhere_after_a_conflict_is_no_finding() {
    // Upstream took `two();` away, where the hook stood; somebody put it behind `four();`.
    let there = BEFORE.replace("  two();\n", "  2;\n");
    let result = there.replace("four();\n", "four();\n  hook();\n");
    assert_eq!(asked(&there, &result), []);
    // Without a conflict, it is one.
    let result = BEFORE.replace("four();\n", "four();\n  hook();\n");
    assert_eq!(asked(BEFORE, &result)[0].0, What::Misplaced);
}
