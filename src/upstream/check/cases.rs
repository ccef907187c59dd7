//! Which cases of a C++ test a compiler has nothing to say of: with a library that lacks the
//! feature, those test nothing of it. By lines of text and the compiler's list of errors.

use std::collections::BTreeSet;

/// Something at the top level of a file: its lines, from 1, the end excluded.
struct Chunk<'a> {
    first: usize,
    text: Vec<&'a str>,
}

/// The names of the cases of `text` that compile, by the lines that the compiler complains
/// of; one that uses something else of the file that doesn't compile, doesn't either.
pub fn compiling<'a>(text: &'a str, errors: &BTreeSet<usize>) -> Vec<&'a str> {
    let chunks = chunks(text);
    let fails = |chunk: &Chunk| {
        errors
            .range(chunk.first..chunk.first + chunk.text.len())
            .next()
    };
    let mut failing: BTreeSet<usize> = BTreeSet::new();
    let mut lost: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = failing.len();
        for (at, chunk) in chunks.iter().enumerate() {
            let uses = |line: &&str| words(line).any(|word| lost.contains(word));
            if fails(chunk).is_some() || chunk.text.iter().any(uses) {
                failing.insert(at);
                lost.extend(defined(chunk));
            }
        }
        if failing.len() == before {
            break;
        }
    }
    let others = chunks.iter().enumerate();
    let others = others.filter(|(at, _)| !failing.contains(at));
    others
        .filter_map(|(_, chunk)| case(chunk.text[0]))
        .collect()
}

/// The lines of `test.cpp` that have an error, by a compiler's messages.
pub fn errors(messages: &str, file: &str) -> BTreeSet<usize> {
    let lines = messages.lines().filter_map(|line| {
        let (place, _) = line.split_once(": ")?;
        let mut parts = place.rsplit(':');
        let (_, number, path) = (parts.next()?, parts.next()?, parts.next()?);
        path.ends_with(file).then(|| number.parse().ok())?
    });
    lines.collect()
}

/// Each begins at a line that begins with a word; namespaces aren't indented.
fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let begins = line.starts_with(|c: char| c.is_alphabetic() || c == '_');
        match chunks.last_mut() {
            Some(chunk) if !begins => chunk.text.push(line),
            None if !begins => {}
            _ => chunks.push(Chunk {
                first: number + 1,
                text: vec![line],
            }),
        }
    }
    chunks
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// What a helper is called: the last word before its arguments, its value or its body.
fn defined<'a>(chunk: &Chunk<'a>) -> Option<&'a str> {
    let line = chunk.text[0];
    if case(line).is_some() || line.starts_with("namespace") || line.starts_with("using") {
        return None;
    }
    let head = line.split(['(', '=', '{', ';']).next().unwrap_or_default();
    words(head).last()
}

/// `TEST_CASE("name") {`.
fn case(line: &str) -> Option<&str> {
    line.strip_prefix("TEST_CASE")?.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "#include \"x.h\"\n\nstatic array make(int n) {\n  return new_op(n);\n}\n\n\
        array twice(int n) {\n  return make(n) + make(n);\n}\n\nint plain() {\n  return 1;\n}\n\n\
        TEST_CASE(\"by itself\") {\n  CHECK(new_op(1));\n}\n\nTEST_CASE(\"by helpers\") {\n  \
        CHECK(twice(1));\n}\n\nTEST_CASE(\"of nothing\") {\n  CHECK(plain() == 1);\n}\n";

    #[test]
    fn a_case_without_an_error_compiles_unless_a_helper_of_its_does_not() {
        let messages = "/t/test.cpp: In function 'array make(int)':\n\
            /t/test.cpp:4:10: error: 'new_op' was not declared in this scope\n\
            /t/test.cpp:16:9: error: 'new_op' was not declared in this scope\n\
            /t/other.h:19:1: error: what\n";
        let errors = errors(messages, "test.cpp");
        assert_eq!(errors, [4, 16].into());
        assert_eq!(compiling(TEST, &errors), ["of nothing"]);
        assert_eq!(compiling(TEST, &[16].into()), ["by helpers", "of nothing"]);
    }
}
