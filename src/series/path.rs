//! Which paths a patch or an overlay may name, and which no tree may have in a work tree.
//!
//! Text only: whether a path leads through a symbolic link is for the tree to say
//! (`git::draft`).

/// Why a series must not write to `path`, or nothing.
///
/// Stricter than git: printable ASCII that every file system keeps as it is, so that no
/// trick with case folding, ignorable characters or short names has to be recognised.
pub fn refuse(path: &str) -> Option<String> {
    if let Some(why) = unsafe_in_worktree(path.as_bytes()) {
        return Some(why.into());
    }
    if let Some(c) = path
        .chars()
        .find(|c| !c.is_ascii_graphic() && *c != ' ' || "\\:*?\"<>|".contains(*c))
    {
        return Some(format!(
            "has the character {c:?}, which not every file system keeps"
        ));
    }
    if path.split('/').any(|part| part.ends_with([' ', '.'])) {
        return Some("has a part that ends in a space or a dot".into());
    }
    None
}

/// Why no checkout may write to `path`, whatever tree names it: the rules of git's own
/// `verify_path`, with its protections for HFS+ and NTFS always on.
pub fn unsafe_in_worktree(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("is empty");
    }
    if path.contains(&0) {
        return Some("has a NUL byte");
    }
    if path.starts_with(b"/") || path.get(1) == Some(&b':') {
        return Some("is absolute");
    }
    // A backslash separates folders on Windows, and a tree may be carried there.
    for part in path.split(|b| matches!(b, b'/' | b'\\')) {
        match part {
            b"" => return Some("has an empty part"),
            b"." => return Some("has a part `.`"),
            b".." => return Some("leads out of the tree through `..`"),
            part if is_git_folder(part) => return Some("leads into `.git`"),
            _ => {}
        }
    }
    None
}

/// True for every spelling that some file system takes for `.git`.
fn is_git_folder(part: &[u8]) -> bool {
    // Nearly every name: nothing that is ignored stands before its first letter.
    if part.is_ascii() && !matches!(part.first(), Some(b'.' | b'g' | b'G')) {
        return false;
    }
    // HFS+ ignores these code points; the rest of the name is compared without case.
    let text: String = String::from_utf8_lossy(part)
        .chars()
        .filter(|c| {
            !matches!(*c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{206a}'..='\u{206f}' | '\u{feff}')
        })
        .flat_map(char::to_lowercase)
        .collect();
    // NTFS drops spaces and dots at the end, and what follows a colon is a stream.
    let name = text.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches([' ', '.']);
    name == ".git" || name == "git~1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_allowed() {
        for path in [
            "mlx/fused/CMakeLists.txt",
            ".gitignore",
            "a/.github/x",
            "c++/b-1_2",
            "git~10",
        ] {
            assert_eq!(refuse(path), None, "{path}");
        }
    }

    #[test]
    fn every_way_out_of_the_tree_is_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            "C:/x",
            "c:x",
            "a\\..\\..\\x",
        ] {
            assert!(unsafe_in_worktree(path.as_bytes()).is_some(), "{path}");
            assert!(refuse(path).is_some(), "{path}");
        }
    }

    #[test]
    fn every_spelling_of_the_git_folder_is_refused() {
        for path in [
            ".git/config",
            "a/.git/hooks/x",
            ".GIT/config",
            ".Git",
            ".git /x",
            ".git./x",
            ".git . ./x",
            "git~1/config",
            "GIT~1/x",
            ".git::$INDEX_ALLOCATION/x",
            ".g\u{200c}it/x",
            "\u{feff}.git/x",
            ".gi\u{202e}T/config",
            "a\\.git\\x",
        ] {
            assert!(unsafe_in_worktree(path.as_bytes()).is_some(), "{path:?}");
            assert!(refuse(path).is_some(), "{path:?}");
        }
    }

    #[test]
    fn names_that_file_systems_change_are_refused_to_a_series_only() {
        for path in [
            "a\u{e9}", "a\tb", "a?b", "a \u{7f}", "dir /x", "dir./x", "a:b",
        ] {
            assert!(refuse(path).is_some(), "{path:?}");
        }
        assert_eq!(unsafe_in_worktree("a\u{e9}".as_bytes()), None);
    }
}
