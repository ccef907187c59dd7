use super::*;

fn names(text: &str) -> Vec<String> {
    let header = Header::parse(text);
    let shown = |d: &Declared| format!("{:?} {}: {}", d.kind, joined(&d.scope, &d.name), d.text);
    header.declared.iter().map(shown).collect()
}

#[test]
fn declarations_are_found_with_their_scopes_and_without_their_bodies() {
    let text = "#include \"mlx/b.h\"\n#define DO(x) \\\n  x\nnamespace a::b {\n\
            class D; // no declaration of its own\n\
            /* c */ MLX_API int f(int x = g(1), T<A, B> y = {}); \n\
            template <typename T, typename = E<T>>\n[[nodiscard]] inline T h(T t) { return t; }\n\
            class MLX_API C : public P {\n  int hidden();\n public:\n  C(int a) : P(a), a_{a} {}\n\
            virtual void eval(const V<array>& in) = 0;\n  int a_{0};\n  struct I { int deep; };\n\
            private:\n  void secret();\n  struct N { int lost; };\n};\n\
            enum class E { one, two = 2 };\nusing L = V<int>;\nbool operator==(C a, C b);\n}\n\
            struct Z {};\n";
    assert_eq!(
        names(text),
        [
            "Macro DO: #define DO(x)",
            "Function a::b::f: MLX_API int f(int x = g(1), T<A, B> y = { })",
            "Function a::b::h: template<typename T, typename = E<T>> [[nodiscard]] inline T h(T t)",
            "Type a::b::C: class MLX_API C : public P",
            "Function a::b::C::C: C(int a)",
            "Function a::b::C::eval: virtual void eval(const V<array>& in) = 0",
            "Value a::b::C::a_: int a_ { 0 }",
            "Type a::b::C::I: struct I",
            "Value a::b::C::I::deep: int deep",
            "Type a::b::E: enum class E { one, two = 2 }",
            "Value a::b::E::one: one",
            "Value a::b::E::two: two",
            "Value a::b::L: using L = V<int>",
            "Function a::b::operator==: bool operator ==(C a, C b)",
            "Type Z: struct Z",
        ]
    );
    assert_eq!(Header::parse(text).includes, ["mlx/b.h"]);
}

#[test]
fn the_names_of_parameters_are_no_difference() {
    let key = |text: &str| Header::parse(text).declared[0].key.clone();
    let same = "V<int>& f(const V<T>& in, unsigned int n, T* p = nullptr, G g);";
    assert_eq!(
        key(same),
        key("V<int>& f(const V<T>&, unsigned int, T* = nullptr, G);")
    );
    for other in [
        same.replace("unsigned int", "unsigned long"),
        same.replace("T* p", "T** p"),
        same.replace("= nullptr", ""),
        same.replace("G g", "H g"),
        same.replace("V<int>&", "V<int>"),
    ] {
        assert_ne!(key(same), key(&other), "{other}");
    }
}

#[test]
fn a_text_that_is_no_code_still_ends() {
    for text in [
        "}}}",
        "namespace {",
        "class",
        "enum E {",
        "template <",
        "operator",
        "f(",
        "a = {",
    ] {
        let _ = Header::parse(text);
    }
    assert_eq!(names("} int f();"), ["Function f: int f()"]);
}
