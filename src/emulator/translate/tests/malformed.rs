//! Texts that are no Metal: an error with its line, or C++ for clang to reject, and no panic.

use super::*;

/// Something of all that the translation looks at.
const TEXT: &str = "
#include_was_here
namespace a { inline namespace b {
template <typename T, int n = 3> struct alignas(16) S : public B<T> {
  S(int x) : y(x), z{x} {}
  device T* at(constant int& i) const constant { return p + i; }
  operator bool() const { return true; }
  friend bool operator<(S a, S b) { return a.y < b.y; }
  union U { float4 v; int i[4]; };
};
extern \"C\" { int g(); }
constant bool c [[function_constant(3)]];
constant int d = is_function_constant_defined(c) ? 1 : 2;
enum class E : int { one, two };
using F = decltype(g);
template <typename T, int n>
[[kernel, max_total_threads_per_threadgroup(n)]] void k(
    device T* x [[buffer(0)]], const constant S<T>& s [[buffer(1), function_constant(c)]],
    coherent(device) device atomic_int* a, threadgroup T* t [[threadgroup(0)]],
    uint3 p [[thread_position_in_grid]]) {
  threadgroup alignas(8) T m[n][2], q;
  auto f = [&](thread T& v) mutable { for (int i = 0; i < n; ++i) { v += 1.0h; } };
  switch (n) { case 1: break; default: f(*(thread T*)x); }
  #pragma METAL fp contract(off)
  if constexpr (n > 2) { x[p.x] = m[0][1] << 2; } else do { } while (0);
}
template [[host_name(\"k1\")]] [[kernel]] decltype(k<float, 4>) k<float, 4>;
} }
";

fn reads(text: &str) {
    if let Ok(unit) = Source::new(text.into(), "k.metal").and_then(Unit::read) {
        let names: Vec<&str> = unit.exports().iter().map(|e| e.name.as_str()).collect();
        unit.text(&names).unwrap();
    }
}

fn words() -> Vec<String> {
    let text = TEXT.replace("#include_was_here", "");
    let source = Source::new(text, "k.metal").unwrap();
    (0..source.len()).map(|i| source.word(i).into()).collect()
}

#[test]
fn the_text_is_metal() {
    let unit = unit(&TEXT.replace("#include_was_here", ""));
    assert_eq!(unit.exports().len(), 1);
}

#[test]
fn no_text_with_a_word_less_or_twice_or_elsewhere_is_a_panic() {
    let words = words();
    for i in 0..words.len() {
        let (before, after) = (&words[..i], &words[i + 1..]);
        for middle in [&[][..], &[words[i].clone(), words[i].clone()]] {
            reads(&[before, middle, after].concat().join("\n"));
        }
        reads(&after.join("\n"));
        reads(&before.join("\n"));
        let mut swapped = words.clone();
        swapped.swap(i, (i * 7 + 3) % words.len());
        reads(&swapped.join("\n"));
    }
}

#[test]
fn no_text_with_one_pair_of_brackets_less_is_a_panic() {
    let words = words();
    let source = Source::new(words.join("\n"), "k.metal").unwrap();
    for open in 0..source.len() {
        if matches!(source.word(open), "(" | "[" | "{") {
            let mut less = words.clone();
            less.remove(source.partner(open));
            less.remove(open);
            reads(&less.join("\n"));
        }
    }
}

#[test]
fn a_list_that_is_missing_is_named_with_its_line() {
    for (text, word) in [
        ("\nstruct alignas S {};", "alignas"),
        ("\nalignas int x;", "alignas"),
        ("\ndecltype x;", "decltype"),
        ("\ntemplate [[host_name(\"a\")]] decltype k<1>;", "decltype"),
    ] {
        refuses(
            text,
            ErrorKind::Gate,
            2,
            &format!("'(' is missing after '{word}'"),
        );
    }
    refuses(
        "\nint operator",
        ErrorKind::Gate,
        2,
        "this operator has no parameters",
    );
}
