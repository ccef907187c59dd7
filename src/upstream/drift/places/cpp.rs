//! What encloses a place of C++ or Metal: namespaces, types, functions, blocks, calls and
//! lists, and the preprocessor's conditions.

use crate::mutants::lexer::{Kind, Source};

/// What happens to the scopes at a byte of the text.
enum Event<'a> {
    Token(usize),
    Directive(&'a str),
}

/// A bracket that is open.
#[derive(Debug, Clone)]
struct Open {
    /// What it is; empty for `[`, which is no place.
    name: String,
    bracket: &'static str,
    /// The tokens before it that belong to it begin here.
    head: usize,
}

impl Open {
    fn is_list(&self) -> bool {
        self.bracket == "(" || self.name == "{" || self.name.ends_with('=')
    }
}

/// The scopes around the byte `at`.
pub fn scopes(text: &str, at: usize) -> Vec<String> {
    let source = Source::new(text);
    let mut open: Vec<Open> = Vec::new();
    // The conditions that hold, each with the brackets that were open where it began: in the
    // branches of one condition, brackets open anew.
    let mut conditions: Vec<(String, usize, Vec<Open>)> = Vec::new();
    let mut head = 0;
    for event in events(&source, at) {
        match event {
            Event::Directive(line) => {
                directive(line, &mut conditions, &mut open);
                head = next(&source, line);
            }
            Event::Token(i) => step(&source, i, &mut open, &mut head),
        }
    }
    // A condition stands where the brackets were that were open when it began.
    let mut scopes = Vec::new();
    let mut conditions = conditions.iter().peekable();
    for (depth, scope) in open.iter().enumerate() {
        while let Some((name, _, _)) = conditions.next_if(|(_, began, _)| *began <= depth) {
            scopes.push(name.clone());
        }
        scopes.push(scope.name.clone());
    }
    scopes.extend(conditions.map(|(name, _, _)| name.clone()));
    scopes.retain(|scope| !scope.is_empty());
    scopes
}

/// Tokens and the preprocessor's conditions before `at`, in order.
fn events<'s>(source: &Source<'s>, at: usize) -> Vec<Event<'s>> {
    let mut events = Vec::new();
    let mut tokens = source.tokens.iter().enumerate().peekable();
    let mut start = 0;
    for line in source.text[..at].split_inclusive('\n') {
        // A # inside a token (a raw string) is none.
        let inside = tokens.peek().is_some_and(|(_, t)| t.start < start);
        if line.trim_start().starts_with('#') && !inside {
            events.push(Event::Directive(line));
        }
        start += line.len();
        while let Some((i, token)) = tokens.peek()
            && token.end <= start
        {
            let _ = token;
            events.push(Event::Token(*i));
            tokens.next();
        }
    }
    events
}

/// The first token behind a line of the text.
fn next(source: &Source<'_>, line: &str) -> usize {
    let end = line.as_ptr() as usize + line.len() - source.text.as_ptr() as usize;
    source.tokens.partition_point(|token| token.start < end)
}

fn directive(line: &str, conditions: &mut Vec<(String, usize, Vec<Open>)>, open: &mut Vec<Open>) {
    let words = line.trim().trim_start_matches('#').trim();
    let (word, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let rest = rest.split("//").next().unwrap_or_default();
    let rest: Vec<&str> = rest.split_whitespace().collect();
    let rest = rest.join(" ");
    match word {
        "if" | "ifdef" | "ifndef" => {
            conditions.push((format!("#{word} {rest}"), open.len(), open.clone()));
        }
        "else" | "elif" => {
            if let Some((name, _, before)) = conditions.last_mut() {
                let first = name.split(" #").next().unwrap_or_default();
                *name = format!("{first} #{word} {rest}").trim_end().to_string();
                open.clone_from(before);
            }
        }
        "endif" => drop(conditions.pop()),
        _ => {}
    }
}

fn step(source: &Source<'_>, i: usize, open: &mut Vec<Open>, head: &mut usize) {
    match source.word(i) {
        "{" => {
            let name = block(source, *head, i);
            push(open, name, "{", head, i);
        }
        "(" => {
            let name = call(source, *head, i);
            push(open, name, "(", head, i);
        }
        "[" => push(open, String::new(), "[", head, i),
        ")" => pop(open, "(", head),
        "]" => pop(open, "[", head),
        "}" => {
            pop(open, "{", head);
            // `a{1}, b{2} {`: what follows a value goes on with what is before it.
            let goes_on = matches!(source.word(i + 1), "," | "{" | ")");
            if !goes_on && open.last().is_none_or(|open| open.bracket == "{") {
                *head = i + 1;
            }
        }
        ";" if open.last().is_none_or(|open| open.bracket == "{") => *head = i + 1,
        // An argument, or an item of a list.
        "," if open.last().is_some_and(Open::is_list) => *head = i + 1,
        _ => {}
    }
}

fn push(open: &mut Vec<Open>, name: String, bracket: &'static str, head: &mut usize, i: usize) {
    let before = *head;
    open.push(Open {
        name,
        bracket,
        head: before,
    });
    *head = i + 1;
}

/// Closes up to the bracket; one that nothing opened closes nothing.
fn pop(open: &mut Vec<Open>, bracket: &str, head: &mut usize) {
    if let Some(at) = open.iter().rposition(|open| open.bracket == bracket) {
        *head = open[at].head;
        open.truncate(at);
    }
}

/// The words before a `(`: what is called or declared.
fn call(source: &Source<'_>, head: usize, at: usize) -> String {
    let mut from = at;
    while from > head
        && (source.kind(from - 1) == Some(Kind::Word) || source.word(from - 1) == "::")
    {
        // `return f(`: two words are no name.
        let two = from < at && source.kind(from) == Some(Kind::Word);
        if two && source.kind(from - 1) == Some(Kind::Word) {
            break;
        }
        from -= 1;
    }
    match source.between(from, at) {
        "" => "(".into(),
        name => format!("{name}("),
    }
}

/// What a `{` opens, by the tokens from `head` on.
fn block(source: &Source<'_>, head: usize, at: usize) -> String {
    let mut from = head;
    while source.word(from) == "template" && from < at {
        from = after_angles(source, from + 1, at);
    }
    let all = || plain(source, from, at);
    if from >= at {
        return "{".into();
    }
    let first = source.word(from);
    match first {
        "namespace" => return all(),
        "if" | "for" | "while" | "switch" | "else" | "do" | "try" | "catch" | "case"
        | "default" | "extern" => return all(),
        _ => {}
    }
    let outer = outer(source, from, at);
    // `[[kernel]]` says something about what follows.
    let is_sign = |i: &usize| match source.word(*i) {
        "(" | "=" => true,
        "[" => source.word(*i + 1) != "[",
        _ => false,
    };
    let sign = outer.iter().copied().find(is_sign);
    let mut words = outer.into_iter();
    let kind = words.find(|i| {
        matches!(source.word(*i), "struct" | "class" | "enum" | "union")
            && sign.is_none_or(|s| *i < s)
    });
    if let Some(kind) = kind {
        let end = (kind + 1..at).find(|i| matches!(source.word(*i), ":" | "<" | "final"));
        let name = (kind + 1..end.unwrap_or(at)).rev();
        let name = name.map(|i| source.word(i)).next().unwrap_or_default();
        return format!("{} {name}", source.word(kind)).trim_end().into();
    }
    match sign.map(|sign| (sign, source.word(sign))) {
        Some((sign, "=")) => format!("{} =", source.word(sign.saturating_sub(1))),
        Some((sign, "(")) => format!("{})", call(source, from, sign)),
        Some(_) => "lambda".into(),
        None => all(),
    }
}

/// The tokens outside all brackets that open between the two, and those brackets.
fn outer(source: &Source<'_>, from: usize, to: usize) -> Vec<usize> {
    let mut depth = 0i32;
    let mut outer = Vec::new();
    for i in from..to {
        let word = source.word(i);
        if matches!(word, ")" | "]" | "}") {
            depth -= 1;
        }
        if depth <= 0 {
            outer.push(i);
        }
        if matches!(word, "(" | "[" | "{") {
            depth += 1;
        }
    }
    outer
}

/// The token behind `<…>`.
fn after_angles(source: &Source<'_>, from: usize, at: usize) -> usize {
    let mut depth = 0i32;
    for i in from..at {
        match source.word(i) {
            "<" => depth += 1,
            ">" => depth -= 1,
            ">>" => depth -= 2,
            _ => {}
        }
        if depth <= 0 {
            return i + 1;
        }
    }
    at
}

/// Tokens with one blank between them.
fn plain(source: &Source<'_>, from: usize, to: usize) -> String {
    let words: Vec<&str> = (from..to).map(|i| source.word(i)).collect();
    words.join(" ").replace(" :: ", "::")
}
