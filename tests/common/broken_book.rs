//! What is known of the changes of a scenario before they are run: which show elsewhere than at
//! their line, which no result can show, and which the emulator should see and does not. All of
//! it must be needed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Caught, Change};

/// Changes, by name or by file and line as it becomes, with what is known of each.
type Entries = BTreeMap<String, String>;

/// A word that is counted, and the rest in words.
pub type Shown = (&'static str, String);

/// Faults that may have no place: of a launch that did not begin, or that was ended.
const WITHOUT_PLACE: [&str; 4] = ["crash", "deadlock", "stack_overflow", "threadgroup_memory"];

/// The page of one scenario.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Book {
    /// Faults at another line than the changed one: `KIND at FILE: LINE'S TEXT`.
    elsewhere: Entries,
    /// No result can show it: why.
    equivalent: Entries,
    /// It is wrong, and nothing shows: why.
    missed: Entries,
}

impl Book {
    /// The page of a scenario in a book; an empty one where there is none.
    pub fn page(text: &str, scenario: &str) -> Self {
        let mut pages: BTreeMap<String, Book> = toml::from_str(text).unwrap();
        pages.remove(scenario).unwrap_or_default()
    }

    fn entries(&self) -> impl Iterator<Item = &String> {
        let all = [&self.elsewhere, &self.equivalent, &self.missed];
        all.into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether it knows something of a change.
    pub fn names(&self, change: &Change) -> bool {
        self.entries().any(|key| change.is(key))
    }

    /// How a change shows, in a word and in words; nothing for one that clang refuses or makes
    /// the same code of. The error is what is wrong where it does not show as it must.
    pub fn judge(&self, change: &Change, caught: &Caught) -> Result<Option<Shown>, String> {
        let of = |entries: &Entries| {
            let mut found = entries.iter().filter(|(key, _)| change.is(key));
            found.next().map(|(_, what)| what.clone())
        };
        let missed = of(&self.missed).map(|why| ("missed", why));
        match caught {
            Caught::Faults(seen) => {
                if let Some(seen) = seen.iter().find(|seen| seen.at_the_change) {
                    return Ok(Some(("fault", seen.place.clone())));
                }
                let known = of(&self.elsewhere);
                let known = seen.iter().find(|seen| Some(&seen.what) == known.as_ref());
                match known {
                    Some(seen) if seen.what.contains(" at ") => {
                        Ok(Some(("fault elsewhere", seen.place.clone())))
                    }
                    Some(seen) if WITHOUT_PLACE.contains(&seen.what.as_str()) => {
                        Ok(Some(("fault without a place", seen.place.clone())))
                    }
                    _ => Err(format!("the fault is not at its line: {}", seen[0].what)),
                }
            }
            Caught::Element(words) => Ok(Some(("element", words.clone()))),
            // What the optimizer took away is no less wrong.
            Caught::Same | Caught::Refused => Ok(missed),
            Caught::No => match (of(&self.equivalent), missed) {
                (Some(why), None) => Ok(Some(("equivalent", why))),
                (None, Some(shown)) => Ok(Some(shown)),
                (None, None) => Err("nothing shows".into()),
                (Some(_), Some(_)) => Err("it is both equivalent and missed".into()),
            },
        }
    }

    /// The entries that say nothing of any change, or not what is so. A change that another
    /// version of clang makes the same code of proves nothing against its entry.
    pub fn unneeded<'a>(&self, tried: impl Iterator<Item = &'a (Change, Caught)>) -> Vec<String> {
        let tried: Vec<_> = tried.collect();
        let mut wrong = Vec::new();
        let mut need = |entries: &Entries, needed: &dyn Fn(&Caught) -> bool| {
            for key in entries.keys() {
                let mut of = tried.iter().filter(|(change, _)| change.is(key));
                let same = |caught: &Caught| matches!(caught, Caught::Same | Caught::Refused);
                if !of.any(|(_, caught)| same(caught) || needed(caught)) {
                    wrong.push(format!("{key}: the book needs no entry for it"));
                }
            }
        };
        need(&self.elsewhere, &|caught| match caught {
            Caught::Faults(seen) => !seen.iter().any(|seen| seen.at_the_change),
            _ => false,
        });
        let shows_nowhere = |caught: &Caught| matches!(caught, Caught::No);
        need(&self.equivalent, &shows_nowhere);
        need(&self.missed, &shows_nowhere);
        wrong
    }
}
