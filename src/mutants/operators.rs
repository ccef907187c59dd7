//! Small changes of C++ that a compiler takes and a test must notice: one edit each. Reads
//! tokens and the white space that clang-format leaves; a guess that is wrong is a change that
//! doesn't compile, which costs time and no truth.

use super::lexer::{Kind, Source};
use super::syntax::{self, Syntax};

/// One change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What kind of change it is.
    pub operator: &'static str,
    /// The first byte that is replaced.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// What takes their place.
    pub with: String,
}

/// The operators with what they do, for `--list` and the docs.
pub const OPERATORS: &[(&str, &str)] = &[
    ("plus-one", "an integer is one more"),
    ("minus-one", "an integer is one less"),
    ("double", "a floating number is doubled; zero becomes one"),
    ("compare", "< and <=, > and >=, == and != change places"),
    (
        "arithmetic",
        "+ and - change places; * becomes +, / becomes *, % becomes /",
    ),
    (
        "bitwise",
        "& and |, << and >> change places; |= and &= become =",
    ),
    ("logic", "&& and || change places"),
    ("drop-left", "the left side of && or || goes"),
    ("drop-right", "the right side of && or || goes"),
    ("negate", "the condition of if, while or ?: is turned round"),
    (
        "delete",
        "a statement goes: a call, an assignment, break, continue",
    ),
    ("swap", "two arguments beside each other change places"),
    ("unwrap", "a call with one argument becomes the argument"),
    ("addend", "what fma or sum adds becomes its second factor"),
    ("next-index", "an index is one more"),
];

/// All changes of a source, in the order of their places.
pub fn edits(source: &Source) -> Vec<Edit> {
    let syntax = Syntax::new(source);
    let mut all = Vec::new();
    for i in 0..source.tokens.len() {
        if syntax.is_skipped(i) {
            continue;
        }
        let before = all.len();
        match source.kind(i) {
            Some(Kind::Number) => number(source, i, &mut all),
            Some(Kind::Sign) => sign(source, &syntax, i, &mut all),
            Some(Kind::Word) => word(source, &syntax, i, &mut all),
            _ => {}
        }
        statement(source, &syntax, i, &mut all);
        debug_assert!(all[before..].iter().all(|edit| edit.start <= edit.end));
    }
    all.sort_by_key(|edit| edit.start);
    all
}

fn replace(source: &Source, operator: &'static str, from: usize, to: usize, with: String) -> Edit {
    Edit {
        operator,
        start: source.tokens[from].start,
        end: source.tokens[to - 1].end,
        with,
    }
}

fn number(source: &Source, i: usize, all: &mut Vec<Edit>) {
    let text = source.word(i);
    let mut push = |operator, with| all.push(replace(source, operator, i, i + 1, with));
    match integer(text) {
        Some((value, suffix)) => {
            let written = |value: u64| match text.starts_with("0x") {
                true => format!("{value:#x}{suffix}"),
                false => format!("{value}{suffix}"),
            };
            if let Some(more) = value.checked_add(1) {
                push("plus-one", written(more));
            }
            if let Some(less) = value.checked_sub(1) {
                push("minus-one", written(less));
            }
        }
        None => {
            let digits = text.trim_end_matches(['f', 'F', 'l', 'L']);
            let with = match digits.parse::<f64>() {
                Ok(0.0) => text.replacen('0', "1", 1),
                _ => format!("(2 * {text})"),
            };
            push("double", with);
        }
    }
}

/// An integer literal's value and its suffix.
fn integer(text: &str) -> Option<(u64, &str)> {
    let plain = text.replace('\'', "");
    let (radix, digits) = match plain.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None => (10, plain.as_str()),
    };
    let number = digits.trim_end_matches(['u', 'U', 'l', 'L']);
    let suffix = &text[text.len() - (digits.len() - number.len())..];
    Some((u64::from_str_radix(number, radix).ok()?, suffix))
}

fn sign(source: &Source, syntax: &Syntax, i: usize, all: &mut Vec<Edit>) {
    let sign = source.word(i);
    if sign == "[" {
        next_index(source, i, all);
    }
    let assigns = matches!(sign, "+=" | "-=" | "*=" | "/=" | "|=" | "&=");
    if !(assigns || syntax.is_binary(i)) {
        return;
    }
    let change = match sign {
        "<" => ("compare", "<="),
        "<=" => ("compare", "<"),
        ">" => ("compare", ">="),
        ">=" => ("compare", ">"),
        "==" => ("compare", "!="),
        "!=" => ("compare", "=="),
        "+" => ("arithmetic", "-"),
        "-" => ("arithmetic", "+"),
        "*" => ("arithmetic", "+"),
        "/" => ("arithmetic", "*"),
        "%" => ("arithmetic", "/"),
        "+=" => ("arithmetic", "-="),
        "-=" => ("arithmetic", "+="),
        "*=" => ("arithmetic", "+="),
        "/=" => ("arithmetic", "*="),
        "&" => ("bitwise", "|"),
        "|" => ("bitwise", "&"),
        "<<" => ("bitwise", ">>"),
        ">>" => ("bitwise", "<<"),
        "|=" | "&=" => ("bitwise", "="),
        "&&" => ("logic", "||"),
        "||" => ("logic", "&&"),
        "?" => ("negate", "?"),
        _ => return,
    };
    if sign == "?" {
        let start = syntax.left_end(i, &["=", "?", ":", "return"]);
        let with = format!("!({})", source.between(start, i));
        all.extend((start < i).then(|| replace(source, "negate", start, i, with)));
        return;
    }
    all.push(replace(source, change.0, i, i + 1, change.1.into()));
    if change.0 == "logic" {
        // && binds closer than ||.
        let closer = sign == "&&";
        let mut ends = vec!["=", "?", ":", "return"];
        if closer {
            ends.push("||");
        }
        let left = syntax.left_end(i, &ends);
        let right = syntax.right_end(i, &["?", ":", sign, "||"]);
        all.push(replace(source, "drop-left", left, i + 1, String::new()));
        all.push(replace(source, "drop-right", i, right, String::new()));
    }
}

fn next_index(source: &Source, open: usize, all: &mut Vec<Edit>) {
    let Some(close) = source.close(open).filter(|close| *close > open + 1) else {
        return;
    };
    // The name that is indexed, before other indices.
    let mut base = open;
    while base > 0 && source.word(base - 1) == "]" {
        let Some(before) = source.open(base - 1) else {
            return;
        };
        base = before;
    }
    let Some(name) = base.checked_sub(1) else {
        return;
    };
    let named = source.kind(name) == Some(Kind::Word) && source.word(name) != "operator";
    let declared = name > 0 && syntax::ends_a_type(source, name - 1);
    let counted = source.kind(open + 1) == Some(Kind::Number) && close == open + 2;
    if named && !declared && !counted && !syntax::KEYWORDS.contains(&source.word(name)) {
        let with = format!("({}) + 1", source.between(open + 1, close));
        all.push(replace(source, "next-index", open + 1, close, with));
    }
}

fn word(source: &Source, syntax: &Syntax, i: usize, all: &mut Vec<Edit>) {
    match source.word(i) {
        "if" | "while" => {
            let open = i + 1 + usize::from(source.word(i + 1) == "constexpr");
            let Some(close) = source.close(open) else {
                return;
            };
            let condition = source.between(open + 1, close);
            let declares = condition.contains(';') || condition.starts_with("auto ");
            if source.word(open) == "(" && !condition.is_empty() && !declares {
                let with = format!("!({condition})");
                all.push(replace(source, "negate", open + 1, close, with));
            }
        }
        _ => {
            if let Some(call) = syntax.call(i) {
                arguments(source, syntax, &call, all);
            }
        }
    }
}

fn arguments(source: &Source, syntax: &Syntax, call: &syntax::Call, all: &mut Vec<Edit>) {
    let name = source.word(call.name);
    let text = |(from, to): (usize, usize)| source.between(from, to);
    if let [only] = call.arguments[..] {
        let first = source.word(call.start.wrapping_sub(1));
        let free = !matches!(first, "." | "->") && !syntax.begins_statement(call.start);
        let lambda = source.word(only.0) == "[";
        if free && !lambda && !name.ends_with("_cast") {
            let with = format!("({})", text(only));
            all.push(replace(source, "unwrap", call.start, call.close + 1, with));
        }
        return;
    }
    // Sums and products are the same the other way round, to the bit.
    let commutes = [
        "add", "mul", "sum", "fma", "fmadd", "product", "or", "and", "max",
    ]
    .iter()
    .any(|part| name.split('_').any(|word| word == *part));
    for (at, pair) in call.arguments.windows(2).enumerate().take(2) {
        let (a, b) = (pair[0], pair[1]);
        if text(a) != text(b) && !(commutes && at == 0) {
            let with = format!("{}, {}", text(b), text(a));
            all.push(replace(source, "swap", a.0, b.1, with));
        }
    }
    if let [_, b, c] = call.arguments[..]
        && ["fma", "fmadd", "sum"]
            .iter()
            .any(|part| name.contains(part))
    {
        all.push(replace(source, "addend", c.0, c.1, text(b).into()));
    }
}

fn statement(source: &Source, syntax: &Syntax, i: usize, all: &mut Vec<Edit>) {
    if !syntax.begins_statement(i) {
        return;
    }
    if let Some(end) = syntax.expression_statement(i) {
        all.push(replace(source, "delete", i, end, String::new()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every change of a text, as `operator: text`.
    fn changes(text: &str) -> Vec<String> {
        let changed = |edit: &Edit| {
            let (head, tail) = (&text[..edit.start], &text[edit.end..]);
            format!("{}: {head}{}{tail}", edit.operator, edit.with)
        };
        edits(&Source::new(text)).iter().map(changed).collect()
    }

    fn by(operator: &str, text: &str) -> Vec<String> {
        let prefix = format!("{operator}: ");
        let all = changes(text).into_iter();
        all.filter_map(|c| c.strip_prefix(&prefix).map(String::from))
            .collect()
    }

    #[test]
    fn numbers_change_by_one_or_double_and_keep_their_form() {
        assert_eq!(by("plus-one", "f(0x7fffu)"), ["f(0x8000u)"]);
        assert_eq!(by("minus-one", "x = 1'000;"), ["x = 999;"]);
        assert!(by("minus-one", "x = 0;").is_empty());
        assert_eq!(by("double", "x = 0.5f;"), ["x = (2 * 0.5f);"]);
        assert_eq!(by("double", "x = 0.0f;"), ["x = 1.0f;"]);
    }

    #[test]
    fn operators_between_values_change_and_types_do_not() {
        assert_eq!(by("compare", "i < n;"), ["i <= n;"]);
        assert_eq!(by("arithmetic", "a * b;"), ["a + b;"]);
        assert_eq!(by("arithmetic", "x += y;"), ["x -= y;"]);
        assert_eq!(by("bitwise", "w >> (8 * j) & 15;").len(), 2);
        for text in [
            "template <typename T> void f(const T* p, T&& q);",
            "Row<S, E<4>> row;",
            "return -x;",
            "float* const* x;",
            "auto f = [&](auto& a) { return *a; };",
            "bool operator<(const T& other) const;",
            "#define LESS(a, b) a < b\n// a < b\n\"a < b\";",
        ] {
            for operator in ["compare", "arithmetic", "bitwise", "logic"] {
                assert!(by(operator, text).is_empty(), "{operator}: {text}");
            }
        }
    }

    #[test]
    fn a_side_of_a_condition_goes_as_far_as_it_reaches() {
        let text = "return i >= 0 && i < n ? a : b;";
        assert_eq!(by("drop-left", text), ["return  i < n ? a : b;"]);
        assert_eq!(
            by("drop-right", text),
            ["return i >= 0 ? a : b;".replace("0 ?", "0  ?")]
        );
        assert_eq!(by("negate", text), ["return !(i >= 0 && i < n) ? a : b;"]);
        assert_eq!(by("drop-left", "if (f(a || b) && c) {}").len(), 2);
        assert_eq!(
            by("negate", "if constexpr (bits == 4) {}"),
            ["if constexpr (!(bits == 4)) {}"]
        );
    }

    #[test]
    fn statements_go_and_declarations_stay() {
        let text = "void f() { int i = 0; S::F acc[4]; std::fill(a, b, c); x[i] = y; \
                    for (g(); i < n; ++i) h(i); Row<T> r(x); asm(\"\"); const T v{1}; continue; }";
        let gone = by("delete", text);
        let lost = [
            "std::fill(a, b, c)",
            "x[i] = y",
            "h(i)",
            "asm(\"\")",
            "continue",
        ];
        let expected: Vec<String> = lost.iter().map(|s| text.replacen(s, "", 1)).collect();
        assert_eq!(gone, expected);
        let class = "class P { P() { a(); } P(int x); void wake(); int n_; };";
        assert_eq!(by("delete", class), [class.replace("a();", ";")]);
    }

    #[test]
    fn arguments_change_places_or_take_the_place_of_their_call() {
        assert_eq!(by("swap", "x = sub(a, f(b, b));"), ["x = sub(f(b, b), a);"]);
        assert!(by("swap", "x = S::mul(a, b);").is_empty());
        assert_eq!(by("swap", "fma(a, b, c)"), ["fma(a, c, b)"]);
        assert_eq!(
            by("addend", "x = std::fma(a, b, c);"),
            ["x = std::fma(a, b, b);"]
        );
        assert_eq!(
            by("unwrap", "y = round_to<T>(1.0f + e);"),
            ["y = (1.0f + e);"]
        );
        assert_eq!(by("unwrap", "y = S::template right<4>(w);"), ["y = (w);"]);
        for text in [
            "static_cast<int>(x)",
            "v.load(x)",
            "Row row(x);",
            "float f(int code) {}",
        ] {
            assert!(by("unwrap", text).is_empty(), "{text}");
        }
        assert!(by("swap", "void f(const T* a, int b) {}").is_empty());
    }

    #[test]
    fn an_index_is_one_more_where_it_is_an_index() {
        assert_eq!(
            by("next-index", "x = a[m][l];"),
            ["x = a[(m) + 1][l];", "x = a[m][(l) + 1];"]
        );
        for text in [
            "float a[rows];",
            "T v[n][lanes];",
            "[&]() {}",
            "delete[] p;",
            "a[3]",
        ] {
            assert!(by("next-index", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn every_operator_is_named_in_the_list() {
        let text = "void f() { if (a < b && c) { x = fma(q[i], 2, 1.0f) - (y & g(z)); } }";
        let found = edits(&Source::new(text));
        for edit in &found {
            assert!(
                OPERATORS.iter().any(|(name, _)| *name == edit.operator),
                "{edit:?}"
            );
        }
        for (name, _) in OPERATORS {
            assert!(found.iter().any(|edit| edit.operator == *name), "{name}");
        }
    }
}
