//! Each rule of the translation, and each error with its place.

mod kernels;
mod malformed;

use super::*;
use crate::error::Kind as ErrorKind;

fn unit(metal: &str) -> Unit {
    Unit::read(Source::new(metal.into(), "k.metal").unwrap()).unwrap()
}

/// The C++ of a text, all kernels in it, with single spaces and without what surrounds it.
fn cpp(metal: &str) -> String {
    let unit = unit(metal);
    let names: Vec<&str> = unit.exports().iter().map(|e| e.name.as_str()).collect();
    let text = unit.text(&names).unwrap();
    let body = text
        .split_once('\n')
        .and_then(|(_, rest)| {
            rest.rsplit_once(
                "\nextern \"C\" __attribute__((visibility(\"default\"))) const ::emu::Kernel",
            )
        })
        .unwrap()
        .0;
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn error(metal: &str) -> Error {
    match Source::new(metal.into(), "k.metal").and_then(Unit::read) {
        Ok(unit) => panic!("no error; {:?}", unit.exports()),
        Err(error) => error,
    }
}

/// A kernel's body in a kernel.
fn in_kernel(body: &str) -> String {
    format!("[[kernel]] void k(device float* x [[buffer(0)]]) {{ {body} }}")
}

#[track_caller]
fn translates(metal: &str, wanted: &str) {
    let text = cpp(metal);
    assert!(text.contains(wanted), "{text}\nlacks\n{wanted}");
}

/// The error is of the kind, at the line, and says the words.
#[track_caller]
fn refuses(metal: &str, kind: ErrorKind, line: usize, words: &str) {
    let error = error(metal);
    assert!(
        error.what().starts_with(&format!("k.metal:{line}: ")) && error.what().contains(words),
        "{error}"
    );
    assert_eq!(error.kind(), kind, "{error}");
}

#[test]
fn address_spaces_vanish_and_constant_becomes_const() {
    for (metal, wanted) in [
        (
            "void f(device float* x, thread int& n);",
            "void f( float* x, int& n);",
        ),
        (
            "void f(constant const int* s);",
            "void f(const const int* s);",
        ),
        ("void f(const constant T& p);", "void f(const const T& p);"),
        (
            "struct S { static constexpr int constant n = 8; };",
            "static constexpr int const n = 8;",
        ),
        (
            "static constant constexpr const int n = 32;",
            "static const constexpr const int n = 32;",
        ),
        ("struct P<threadgroup T*> {};", "struct P< T*> {};"),
        (
            "void f() { auto p = (const device uint*)q; }",
            "auto p = (const uint*)q;",
        ),
        (
            "void f() { auto p = reinterpret_cast<constant float4*>(q); }",
            "reinterpret_cast<const float4*>(q)",
        ),
        (
            "void f(volatile coherent(system) device uint* t);",
            "void f(volatile uint* t);",
        ),
        (
            "void f() { for (device float* p = q; p;) {} }",
            "for ( float* p = q; p;)",
        ),
    ] {
        translates(metal, wanted);
    }
}

#[test]
fn member_functions_lose_their_space_and_constant_ones_become_const() {
    translates("struct S { float f() thread; };", "float f() ;");
    translates("struct S { float f() constant; };", "float f() const;");
    translates(
        "struct S { float f() const constant; };",
        "float f() const ;",
    );
    translates(
        "struct S { constexpr S(int a) constant : x(a) {} int x; };",
        "S(int a) : x(a) {}",
    );
}

#[test]
fn overloads_that_differ_by_space_only_become_one() {
    let text = cpp("
        struct C { C(int x) thread : a(x) {} C(int x) device : a(x) {} C(int x) constant : a(x) {}
          operator int() const thread { return a; } operator int() const device { return a; }
          operator int() const constant { return a; } int a; };
        thread C& f(thread C& a) { return a; }
        device C& f(device C& other_name) { return other_name; }
        template <typename T> struct E {}; template <typename T> struct E<device T*> { using t = T; };
        template <typename T> struct E<thread T*> { using t = T; };");
    assert_eq!(text.matches("C(int x)").count(), 1, "{text}");
    assert_eq!(text.matches("operator int()").count(), 1, "{text}");
    assert_eq!(text.matches("struct E<").count(), 1, "{text}");
}

#[test]
fn overloads_that_differ_by_space_and_body_are_refused() {
    refuses(
        "int f(thread int& a) { return 1; }\nint f(device int& a) { return 2; }",
        ErrorKind::Usage,
        2,
        "this and k.metal:1 differ in their address spaces and in what they do",
    );
}

#[test]
fn threadgroup_variables_become_references_to_storage() {
    translates(
        &in_kernel("threadgroup float a[4][N + 1];"),
        "typedef float emu_tg_0[4][N + 1]; emu_tg_0& a = \
         ::emu::threadgroup_memory<emu_tg_0>(0, \"a\");"
            .replace("[4][N + 1]", "[ 4 ][ N + 1 ]")
            .as_str(),
    );
    let two = cpp(&in_kernel(
        "{ threadgroup typename G::T a[2], b; } threadgroup atomic<uint> c;",
    ));
    for wanted in [
        "typedef typename G :: T emu_tg_0[ 2 ]; emu_tg_0& a",
        "typedef typename G :: T emu_tg_1; emu_tg_1& b",
        "typedef atomic < uint > emu_tg_2; emu_tg_2& c",
    ] {
        assert!(two.contains(wanted), "{two}\nlacks {wanted}");
    }
    translates(
        &in_kernel("threadgroup alignas(16) half4 a[8];"),
        "struct emu_at_0 { alignas ( 16 ) emu_tg_0 value; }; emu_tg_0& a = \
         ::emu::threadgroup_memory<emu_at_0>(0, \"a\").value;",
    );
    // Apple's compiler takes an initializer, and no GPU carries it out.
    translates(
        &in_kernel("threadgroup float a[4] = {0}; a[0] = 1;"),
        "(0, \"a\"); a[0] = 1;",
    );
    translates(&in_kernel("threadgroup float* p = q;"), "{ float* p = q; }");
    translates(&in_kernel("if (n) threadgroup float a[1];"), "emu_tg_0& a");
}

#[test]
fn function_constants_are_asked_for_by_index() {
    let metal = "constant bool has_w [[function_constant(20)]];\n\
                 constant int n [[function_constant(01)]];\n\
                 constant int m = n * 2; bool f() { return is_function_constant_defined(n); }";
    let text = cpp(metal);
    for wanted in [
        "static const bool has_w __asm__(\"emu_constant_0\") = ::emu::function_constant<bool>(20, \"has_w\") ;",
        "static const int n __asm__(\"emu_constant_1\") = ::emu::function_constant<int>(1, \"n\") ;",
        "const int m = n * 2;",
        "return ::emu::function_constant_defined(1);",
    ] {
        assert!(text.contains(wanted), "{text}\nlacks {wanted}");
    }
    let unit = unit(metal);
    let constants: Vec<(u64, &str, bool)> = unit
        .constants()
        .iter()
        .map(|c| (c.index, c.name.as_str(), c.optional))
        .collect();
    assert_eq!(constants, [(20, "has_w", false), (1, "n", true)]);
}

#[test]
fn functions_that_nobody_may_call_become_inline() {
    for (metal, wanted) in [
        ("float f(float x) { return x; }", "inline float f("),
        ("const device T* f() { return a; }", "inline const T* f("),
        ("device float* f() { return a; }", "inline float* f("),
        (
            "[[clang::noinline]] int f() {}",
            "[[clang::noinline]] inline int f(",
        ),
        ("template <> int f<3>() {}", "template <> inline int f<3>("),
        ("float S::f() const { return 1; }", "inline float S::f("),
        ("template <int n> int f() {}", "template <int n> int f("),
        ("int f();", "int f()"),
        ("static int f() {}", "static int f("),
        ("constexpr int f() {}", "constexpr int f("),
        ("struct S { int f() {} };", "{ int f("),
    ] {
        let text = cpp(metal);
        let inline = text.matches("inline ").count();
        assert!(text.contains(wanted), "{text} lacks {wanted}");
        assert_eq!(inline, wanted.matches("inline ").count(), "{text}");
    }
}

#[test]
fn literals_and_pragmas_of_metal_become_those_of_clang() {
    translates(
        "half f() { return 1.5h + 2.0H; }",
        "::emu::half_literal(1.5) + ::emu::half_literal(2.0)",
    );
    translates("bfloat f() { return 1bf; }", "::emu::bfloat_literal(1)");
    translates("int f() { return 0xbf + 0x1h; }", "return 0xbf + 0x1h;");
    translates(
        "float f() { return 1.0 + 2. + 1e3 + 0.5f + 3; }",
        "return 1.0f + 2.f + 1e3f + 0.5f + 3;",
    );
    translates(
        "#pragma METAL fp contract(off)\nint a;",
        "#pragma clang fp contract(off) int a;",
    );
    translates("#pragma METAL internals : enable\nint a;", "int a;");
    translates("void f(int b) {\n#pragma unused(b)\n}", "void f(int b) { }");
    translates(
        "#pragma clang loop unroll(full)\nint a;",
        "#pragma clang loop unroll(full)",
    );
}

#[test]
fn lines_stay_where_they_are() {
    let metal = "int a;\n\nconstant bool c\n  [[function_constant(1)]];\nint b;\n\
                 void f(device\n float* x) {\n threadgroup float\n  a[3];\n int marker;\n}\n";
    let text = unit(metal).text(&[]).unwrap();
    // One line more: the include.
    let line = |text: &str, word: &str| text.lines().position(|l| l.contains(word)).unwrap();
    for word in ["int b", "int marker"] {
        assert_eq!(line(&text, word), line(metal, word) + 1, "{text}");
    }
}

#[test]
fn pointers_without_an_address_space_are_refused() {
    for (metal, words) in [
        (
            "\nvoid f(float* x);",
            "the pointer in 'float * x' has no address space",
        ),
        ("\nvoid f(const T& x) {}", "the reference in 'const T & x'"),
        (
            "\nvoid f(device float* x, float (&y)[4]) {}",
            "the reference in 'float ( & y ) [ 4 ]'",
        ),
        ("\nstruct S { float* p; };", "the pointer in 'float *"),
        ("\nfloat* f(int n);", "the pointer in 'float *'"),
        (
            "\nvoid f() { const float* p = q; }",
            "the pointer in 'const float *",
        ),
        ("\nvoid f() { auto& p = q; }", "the reference in 'auto &"),
        (
            "\nvoid f() { for (auto& p : q) {} }",
            "the reference in 'auto &",
        ),
        ("\nvoid f() { g((float*)q); }", "the pointer in 'float *'"),
        (
            "\nvoid f() { auto l = [](int& a) {}; }",
            "the reference in 'int & a'",
        ),
        (
            "\nkernel void k(float* x [[buffer(0)]]) {}",
            "the pointer in 'float * x",
        ),
    ] {
        refuses(metal, ErrorKind::Gate, 2, words);
    }
}

#[test]
fn what_is_no_pointer_needs_no_address_space() {
    for metal in [
        "void f(device T*& x, const device float* const device* y);",
        "void f() { int n = a * b; n = a & b; g(a * b, a & b); (a) * b; x = a && b; a * b; }"
            .replace("a * b; }", "}")
            .as_str(),
        "template <typename T> T operator*(T a, T b); struct S { S operator&(S a) const thread; };",
        "void f(int n = sizeof(T) * 2); static_assert(N * M < 4, \"x\");",
        "void f() { return a * b; } int g(int a) { return -a * (b) * (c + d); }",
        "template <typename T, enable_if_t<(N * 2 < 4) && B, bool> = true> void f(T a);",
    ] {
        unit(metal);
    }
}

#[test]
fn metal_that_the_emulator_has_not_is_refused() {
    for (metal, kind, words) in [
        (
            "\nvoid f(ray_data int* x);",
            ErrorKind::Gate,
            "no address space",
        ),
        (
            "\nusing T = object_data int;",
            ErrorKind::Usage,
            "no address space 'object_data'",
        ),
        (
            "\nvertex void f() {}",
            ErrorKind::Usage,
            "compute kernels; it doesn't know 'vertex'",
        ),
        (
            "\n[[visible]] int f(int a);",
            ErrorKind::Usage,
            "doesn't know [[visible]]",
        ),
        (
            "\nstruct S { int a [[id(0)]]; };",
            ErrorKind::Usage,
            "doesn't know [[id]]",
        ),
        (
            "\nint a [[shiny]];",
            ErrorKind::Usage,
            "unknown attribute [[shiny]]",
        ),
        (
            "\nusing T = texture2d<float>;",
            ErrorKind::Usage,
            "no 'texture2d'",
        ),
        (
            "\n#pragma METAL fp math_mode(relaxed)",
            ErrorKind::Usage,
            "'#pragma METAL fp math_mode(relaxed)'",
        ),
        (
            "\nstruct S { threadgroup float a[4]; };",
            ErrorKind::Gate,
            "belongs in the body of a function",
        ),
        (
            "\nthreadgroup float a[4];",
            ErrorKind::Gate,
            "belongs in the body of a function",
        ),
        (
            "\nusing T = threadgroup float;",
            ErrorKind::Usage,
            "where the emulator can't place it",
        ),
        (
            "void f() {\n g(threadgroup 4); }",
            ErrorKind::Usage,
            "where the emulator can't place it",
        ),
        (
            "void f() {\n threadgroup auto a = 4; }",
            ErrorKind::Gate,
            "needs a type of its own",
        ),
        (
            "void f() {\n threadgroup float a(4); }",
            ErrorKind::Usage,
            "'(' after the name",
        ),
        (
            "\nint a [[function_constant(0)]];",
            ErrorKind::Gate,
            "is declared as `constant TYPE NAME",
        ),
        (
            "\nconstant int a [[function_constant(N)]];",
            ErrorKind::Usage,
            "takes a number as a function",
        ),
        (
            "constant int a [[function_constant(1)]];\nconstant int b [[function_constant(1)]];",
            ErrorKind::Gate,
            "function constant 1 is 'a' already, at k.metal:1",
        ),
        (
            "\nvoid f() { if (is_function_constant_defined(a)) {} }",
            ErrorKind::Gate,
            "'a' is no function constant",
        ),
        (
            "\nstruct S { kernel void k(); };",
            ErrorKind::Usage,
            "a kernel in a class",
        ),
        (
            "\ntemplate <int N = a < 4 void f();",
            ErrorKind::Gate,
            "nothing closes this template's list",
        ),
        (
            "\nvoid f() { kernel = 4; }",
            ErrorKind::Usage,
            "'kernel' stands where",
        ),
    ] {
        refuses(metal, kind, 2, words);
    }
}
