//! The folders that a source's files are in, and names of those files that don't depend on where
//! the folders are: what is compiled has the latter in it, so that the same kernel in another
//! folder is the same library; reports and messages have the former.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What stands for a folder begins with this, then its number.
const PREFIX: &str = "/mlx-emulator-root-";

/// The folders of one source, by number.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<PathBuf>);

impl Roots {
    /// The folders in which headers are looked for, and the one that the source is in where
    /// that is none of them.
    pub fn new(includes: &[PathBuf], source: &Path) -> Self {
        // From the end: one more in front leaves the others their numbers.
        let mut roots: Vec<PathBuf> = includes.iter().rev().cloned().collect();
        let known = roots.iter().any(|root| source.starts_with(root));
        if let (false, true, Some(parent)) = (known, source.is_absolute(), source.parent()) {
            roots.push(parent.to_path_buf());
        }
        Roots(roots)
    }

    /// A text with line markers (`# 12 "/home/x/a.metal"`), the folders in them by number.
    pub fn numbered(&self, text: &str) -> String {
        let quoted: Vec<String> = self.0.iter().map(|root| escaped(root)).collect();
        let mut numbered = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let file = line.strip_prefix("# ").and_then(|_| line.find('"'));
            let Some(at) = file.map(|quote| quote + 1) else {
                numbered.push_str(line);
                continue;
            };
            let inside = |root: &str| {
                let rest = line[at..].strip_prefix(root)?;
                rest.starts_with('/').then_some(rest)
            };
            // The nearest of folders that are inside of each other.
            let roots = quoted.iter().enumerate();
            let found =
                roots.filter_map(|(number, root)| Some((root.len(), number, inside(root)?)));
            match found.max() {
                Some((_, number, rest)) => {
                    numbered.push_str(&line[..at]);
                    numbered.push_str(&format!("{PREFIX}{number}{rest}"));
                }
                None => numbered.push_str(line),
            }
        }
        numbered
    }

    /// A text with the folders themselves.
    pub fn cited<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !text.contains(PREFIX) {
            return Cow::Borrowed(text);
        }
        let mut cited = text.to_string();
        // A number that begins with another comes before it.
        for (number, root) in self.0.iter().enumerate().rev() {
            let root = format!("{}/", root.display());
            cited = cited.replace(&format!("{PREFIX}{number}/"), &root);
        }
        Cow::Owned(cited)
    }
}

/// A path as it stands in a line marker.
fn escaped(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(includes: &[&str], source: &str) -> Roots {
        let includes: Vec<PathBuf> = includes.iter().map(PathBuf::from).collect();
        Roots::new(&includes, Path::new(source))
    }

    #[test]
    fn files_of_other_folders_have_the_same_names_and_are_cited_by_their_own() {
        let of = |folder: &str| {
            let roots = roots(&[folder, "/p", "/p/mlx"], "/p/mlx/k.metal");
            let text = format!(
                "# 1 \"/p/mlx/k.metal\"\n# 1 \"{folder}/a.h\" 1\nx # 2 \"/p/x\"\n# 3 \"/p/b.h\"\n"
            );
            (
                roots.numbered(&text),
                roots.cited(&roots.numbered(&text)).into_owned(),
                text,
            )
        };
        let (one, cited, text) = of("/tmp/a");
        let (two, ..) = of("/tmp/other");
        assert_eq!(one, two);
        assert!(
            !one.contains("/tmp") && one.contains("x # 2 \"/p/x\""),
            "{one}"
        );
        assert_eq!(cited, text);
        let without = roots(&["/p", "/p/mlx"], "/p/mlx/k.metal");
        let line = "# 1 \"/p/mlx/k.metal\"\n";
        assert!(one.starts_with(&without.numbered(line)));
    }

    #[test]
    fn a_source_outside_of_them_brings_its_folder() {
        let roots = roots(&["/p"], "/j/17/a b/k.metal");
        let line = "# 1 \"/j/17/a b/k.metal\"\n";
        assert!(
            !roots.numbered(line).contains("17"),
            "{}",
            roots.numbered(line)
        );
        assert_eq!(roots.cited(&roots.numbered(line)), line);
        // A folder that only begins alike is another.
        let other = "# 1 \"/j/17/a bc/k.metal\"\n";
        assert_eq!(roots.numbered(other), other);
    }

    #[test]
    fn folders_with_quotes_in_their_names_are_found_in_line_markers() {
        let roots = roots(&["/a\"b\\c"], "k.metal");
        let line = "# 1 \"/a\\\"b\\\\c/k.h\" 1\n";
        assert!(roots.numbered(line).contains("root-0/k.h"));
        assert_eq!(roots.cited("/mlx-emulator-root-0/k.h:3"), "/a\"b\\c/k.h:3");
    }
}
