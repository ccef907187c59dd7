//! What encloses a place of documentation: its headings, and in reStructuredText its directive.

/// The headings and the directive around the byte `at`.
pub fn rst(text: &str, at: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let place = text[..at].matches('\n').count();
    // By the sign that underlines them: which sign is which level, the file decides.
    let mut headings: Vec<(char, &str)> = Vec::new();
    let mut directives: Vec<(usize, &str)> = Vec::new();
    for (number, line) in lines.iter().enumerate().take(place) {
        let below = lines.get(number + 1).copied().unwrap_or_default();
        if let Some(sign) = underline(line, below) {
            if let Some(level) = headings.iter().position(|(known, _)| *known == sign) {
                headings.truncate(level);
            }
            headings.push((sign, line.trim()));
            directives.clear();
        }
        close(&mut directives, line);
        let words = line.trim();
        if words.starts_with(".. ") && words.contains("::") {
            directives.push((indent(line), words));
        }
    }
    // The line itself may stand further left than the directive's content.
    close(
        &mut directives,
        lines.get(place).copied().unwrap_or_default(),
    );
    let headings = headings.iter().map(|(_, title)| title.to_string());
    let directives = directives.iter().map(|(_, words)| words.to_string());
    headings.chain(directives).collect()
}

fn close(directives: &mut Vec<(usize, &str)>, line: &str) {
    if !line.trim().is_empty() {
        directives.retain(|(column, _)| *column < indent(line));
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The sign under a heading.
fn underline(line: &str, below: &str) -> Option<char> {
    let below = below.trim_end();
    let sign = below.chars().next().filter(char::is_ascii_punctuation)?;
    let is_heading = below.chars().all(|c| c == sign)
        && below.len() >= line.trim().chars().count()
        && below.len() >= 3
        && line.starts_with(|c: char| !c.is_whitespace() && !c.is_ascii_punctuation());
    is_heading.then_some(sign)
}

/// The headings at the end of `text`, which is a file up to a place.
pub fn markdown(text: &str) -> Vec<String> {
    let mut headings: Vec<(usize, String)> = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let level = line.bytes().take_while(|b| *b == b'#').count();
        if level == 0 || in_code {
            continue;
        }
        headings.retain(|(known, _)| *known < level);
        headings.push((level, line[level..].trim().to_string()));
    }
    headings.into_iter().map(|(_, title)| title).collect()
}
