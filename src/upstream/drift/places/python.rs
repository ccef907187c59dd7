//! What encloses a place of Python: classes, functions and blocks, by their indentation.

/// The scopes at the end of `text`, which is a file up to a place.
pub fn scopes(text: &str) -> Vec<String> {
    let mut scopes: Vec<(usize, String)> = Vec::new();
    let mut quotes: Option<&str> = None;
    let mut depth = 0i32;
    for line in text.lines() {
        let begins = quotes.is_none() && depth == 0;
        let code = line.trim_start();
        // Inside a string or a bracket, indentation means nothing.
        if begins && !code.is_empty() && !code.starts_with('#') {
            let column = line.len() - code.len();
            scopes.retain(|(known, _)| *known < column);
            if let Some(name) = opened(code) {
                scopes.push((column, name));
            }
        }
        scan(line, &mut quotes, &mut depth);
    }
    scopes.into_iter().map(|(_, name)| name).collect()
}

/// What a line opens: a function by its name, a block by its words.
fn opened(code: &str) -> Option<String> {
    let words = code.strip_prefix("async ").unwrap_or(code);
    for kind in ["def ", "class "] {
        if let Some(rest) = words.strip_prefix(kind) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            return Some(format!("{kind}{}", &rest[..end.unwrap_or(rest.len())]));
        }
    }
    let word = words.split(|c: char| !c.is_alphanumeric()).next()?;
    let opens = [
        "if", "elif", "else", "for", "while", "with", "try", "except", "finally", "match",
    ];
    let block = opens.contains(&word) && words.trim_end().ends_with(':');
    block.then(|| words.trim_end().trim_end_matches(':').to_string())
}

/// Follows strings of three quotes and brackets through a line.
fn scan<'a>(line: &'a str, quotes: &mut Option<&'a str>, depth: &mut i32) {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(end) = *quotes {
            match rest.find(end) {
                Some(at) => {
                    rest = &rest[at + end.len()..];
                    *quotes = None;
                    continue;
                }
                None => return,
            }
        }
        match c {
            '#' => return,
            '"' | '\'' => {
                let three = [r#"""""#, "'''"].into_iter().find(|q| rest.starts_with(q));
                if let Some(three) = three {
                    *quotes = Some(three);
                    rest = &rest[3..];
                    continue;
                }
                let inside = &rest[1..];
                let end = inside.find(c).map_or(inside.len(), |at| at + 1);
                rest = &inside[end..];
                continue;
            }
            '(' | '[' | '{' => *depth += 1,
            ')' | ']' | '}' => *depth = (*depth - 1).max(0),
            _ => {}
        }
        rest = &rest[c.len_utf8()..];
    }
}
