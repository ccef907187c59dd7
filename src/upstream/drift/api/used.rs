//! What a source of the overlay uses by name: headers, and identifiers with how they are used.
//! A guess by text: no types are known here.

use std::collections::{BTreeMap, BTreeSet};

use super::declared::{Declared, What};
use crate::mutants::lexer::{Kind, Source};

/// One source.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Names of the form `a::b`: the last of the qualifiers, and the name.
    qualified: BTreeSet<(String, String)>,
    /// Names behind `.` and `->`.
    members: BTreeSet<String>,
    /// Names that stand alone and are called, `f(` or `f<`.
    called: BTreeSet<String>,
    /// All names that stand alone.
    plain: BTreeSet<String>,
    /// Types that a type of ours inherits from: their members are names that stand alone.
    bases: BTreeSet<String>,
}

impl Used {
    /// Reads the text of one.
    pub fn read(text: &str) -> Self {
        let source = Source::new(text);
        let mut used = Used::default();
        let mut aliases: BTreeMap<String, String> = BTreeMap::new();
        for i in 0..source.tokens.len() {
            if source.kind(i) != Some(Kind::Word) {
                continue;
            }
            let word = source.word(i).to_string();
            let before = |n: usize| i.checked_sub(n).map_or("", |at| source.word(at));
            let (next, called) = (source.word(i + 1), matches!(source.word(i + 1), "(" | "<"));
            match before(1) {
                "::" => {
                    used.qualified.insert((before(2).to_string(), word));
                }
                "." | "->" => {
                    used.members.insert(word);
                }
                "namespace" if next == "=" => {
                    let end = (i..source.tokens.len()).find(|at| source.word(*at) == ";");
                    let last = end.map_or("", |end| source.word(end - 1));
                    aliases.insert(word, last.to_string());
                }
                _ => {
                    if matches!(before(1), "public" | "protected" | "private") && next != "(" {
                        let last = last_of_path(&source, i);
                        used.bases.insert(last);
                    }
                    if called {
                        used.called.insert(word.clone());
                    }
                    used.plain.insert(word);
                }
            }
        }
        let real = |(by, name): (String, String)| (aliases.get(&by).cloned().unwrap_or(by), name);
        used.qualified = used.qualified.into_iter().map(real).collect();
        used
    }

    /// True where it seems to use this declaration; `reached` are the types that it can have
    /// objects of.
    pub fn uses(&self, declared: &Declared, reached: &BTreeSet<String>) -> bool {
        let last = declared.scope.rsplit("::").next().unwrap_or_default();
        let name = &declared.name;
        if self.qualified.contains(&(last.to_string(), name.clone())) {
            return true;
        }
        // A constructor: which of them is meant, only a compiler knows.
        if name == last {
            return false;
        }
        if self.bases.contains(last) && self.plain.contains(name) {
            return true;
        }
        if declared.is_member && reached.contains(last) && self.members.contains(name) {
            return true;
        }
        match declared.kind {
            _ if declared.is_member => false,
            What::Function => self.called.contains(name),
            _ => self.plain.contains(name),
        }
    }

    /// The words that may name a type here.
    pub fn words(&self) -> impl Iterator<Item = &String> {
        let qualified = self.qualified.iter().map(|(_, name)| name);
        self.plain.iter().chain(qualified)
    }
}

/// `A::B::C` from its first word: the last one.
fn last_of_path(source: &Source<'_>, first: usize) -> String {
    let mut at = first;
    while source.word(at + 1) == "::" {
        at += 2;
    }
    source.word(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(text: &str, scope: &str, name: &str, kind: What) -> bool {
        let declared = Declared {
            scope: scope.into(),
            name: name.into(),
            kind,
            is_member: ["Encoder", "Other", "Prim"]
                .iter()
                .any(|t| scope.ends_with(t)),
            text: String::new(),
            key: String::new(),
        };
        let reached = ["array".to_string(), "Encoder".to_string()].into();
        Used::read(text).uses(&declared, &reached)
    }

    #[test]
    fn a_name_is_used_the_way_that_it_is_written() {
        let f = What::Function;
        assert!(uses("metal::get(s);", "mlx::core::metal", "get", f));
        assert!(!uses("other::get(s);", "mlx::core::metal", "get", f));
        assert!(uses(
            "namespace mx = mlx::core; mx::get(s);",
            "mlx::core",
            "get",
            f
        ));
        assert!(uses("e.set(1);", "mlx::core::Encoder", "set", f));
        assert!(
            !uses("e.set(1);", "mlx::core::Other", "set", f),
            "not reached"
        );
        assert!(
            !uses("set(1);", "mlx::core::Encoder", "set", f),
            "not an object's"
        );
        assert!(uses("sum(x)", "mlx::core", "sum", f));
        assert!(!uses("int sum = 0;", "mlx::core", "sum", f), "a variable");
        assert!(uses(
            "class A : public mlx::core::Prim { void eval() }",
            "mlx::core::Prim",
            "eval",
            f
        ));
        assert!(uses(
            "Dtype d = float32;",
            "mlx::core",
            "float32",
            What::Value
        ));
        assert!(!uses(
            "// metal::get(s)\n\"get(\"",
            "mlx::core::metal",
            "get",
            f
        ));
    }
}
