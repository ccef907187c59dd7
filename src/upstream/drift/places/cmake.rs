//! What encloses a place of a CMake file: conditions, loops and functions, and the command in
//! whose arguments it stands.

/// A command of the text.
struct Command<'a> {
    name: String,
    arguments: &'a str,
    /// False where the text ends inside it.
    closed: bool,
}

/// The scopes at the end of `text`, which is a file up to a place.
pub fn scopes(text: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for command in commands(text) {
        let shown = || {
            let lines = command.arguments.lines();
            let code = lines.map(|line| line.split('#').next().unwrap_or_default());
            let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
            format!("{}({})", command.name, words.join(" "))
        };
        match command.name.as_str() {
            _ if !command.closed => {
                let first = command.arguments.split_whitespace().next();
                scopes.push(format!("{}({}", command.name, first.unwrap_or_default()));
            }
            "if" | "foreach" | "while" | "function" | "macro" | "block" => scopes.push(shown()),
            "else" | "elseif" => {
                if let Some(last) = scopes.last_mut() {
                    let first = last.split(" else").next().unwrap_or_default();
                    *last = match command.name.as_str() {
                        // Its own words repeat the condition, or say nothing.
                        "else" => format!("{first} else()"),
                        _ => format!("{first} {}", shown()),
                    };
                }
            }
            "endif" | "endforeach" | "endwhile" | "endfunction" | "endmacro" | "endblock" => {
                scopes.pop();
            }
            _ => {}
        }
    }
    scopes
}

fn commands(text: &str) -> Vec<Command<'_>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'#' {
            at += comment(&text[at..]);
            continue;
        }
        if bytes[at] != b'(' {
            at += 1;
            continue;
        }
        let before = text[..at].trim_end();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = before.rsplit(|c| !word(c)).next().unwrap_or_default();
        let (length, closed) = arguments(&text[at + 1..]);
        found.push(Command {
            name: name.to_ascii_lowercase(),
            arguments: &text[at + 1..at + 1 + length],
            closed,
        });
        at += length + 2;
    }
    found
}

/// The length of what is up to the bracket that closes, and whether it is there.
fn arguments(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' if depth == 0 => return (at, true),
            b')' => depth -= 1,
            b'\\' => at += 1,
            b'#' => {
                at += comment(&text[at..]);
                continue;
            }
            b'"' => {
                let mut end = at + 1;
                while end < bytes.len() && bytes[end] != b'"' {
                    end += 1 + usize::from(bytes[end] == b'\\');
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    (bytes.len(), false)
}

/// The length of `# …` or `#[[ … ]]`.
fn comment(text: &str) -> usize {
    let inside = text.starts_with("#[[");
    let end = if inside { "]]" } else { "\n" };
    text.find(end).map_or(text.len(), |at| at + end.len())
}
