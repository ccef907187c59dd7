//! What became of the mutants. The JSON form is these structs, field by field. Printing is the
//! command's.

use serde::Serialize;

use super::catalogue::Mutant;
use crate::error::{Error, Result};

/// What became of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// A case of parity failed.
    Caught {
        /// The case's name.
        by: String,
        /// What parity said of it.
        how: String,
    },
    /// Every case passed.
    Survived,
    /// mutants.toml says that nothing can show it; it was not run.
    Equivalent {
        /// Why.
        reason: String,
    },
    /// The compiler made the same library of it; it was not run.
    SameCode,
    /// It doesn't compile.
    Unbuildable {
        /// The compiler's first error.
        why: String,
    },
    /// It is code for another processor.
    NotHere,
}

/// A mutant and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The mutant.
    #[serde(flatten)]
    pub mutant: Mutant,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Seconds to compile it, and to run parity on it.
    pub seconds: [f64; 2],
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the verdicts' names")]
pub struct Counts {
    pub caught: usize,
    pub survived: usize,
    pub equivalent: usize,
    pub same_code: usize,
    pub unbuildable: usize,
    pub not_here: usize,
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The mutants, in the order of the catalogue.
    pub mutants: Vec<Row>,
    /// How many came to what.
    pub counts: Counts,
    /// Seconds of the whole run.
    pub seconds: f64,
}

impl Report {
    pub(super) fn new(mutants: Vec<Row>, seconds: f64) -> Self {
        let mut counts = Counts::default();
        for row in &mutants {
            *match row.verdict {
                Verdict::Caught { .. } => &mut counts.caught,
                Verdict::Survived => &mut counts.survived,
                Verdict::Equivalent { .. } => &mut counts.equivalent,
                Verdict::SameCode => &mut counts.same_code,
                Verdict::Unbuildable { .. } => &mut counts.unbuildable,
                Verdict::NotHere => &mut counts.not_here,
            } += 1;
        }
        Report {
            mutants,
            counts,
            seconds,
        }
    }

    /// `31 of 32 caught, 1 survived; …`.
    pub fn summary(&self) -> String {
        let c = &self.counts;
        format!(
            "{} of {} faults caught, {} survived; not judged: {} equivalent, {} the same code, \
             {} that don't compile, {} for another processor ({:.0} s)",
            c.caught,
            c.caught + c.survived,
            c.survived,
            c.equivalent,
            c.same_code,
            c.unbuildable,
            c.not_here,
            self.seconds
        )
    }

    /// An error where a fault survived, and where none was judged.
    pub fn check(&self) -> Result<()> {
        if self.counts.survived > 0 {
            let survived = |row: &&Row| row.verdict == Verdict::Survived;
            let first = self.mutants.iter().find(survived);
            let name = first.map_or("", |row| row.mutant.name.as_str());
            return Err(Error::gate(self.summary())
                .hint(format!(
                    "`cargo xtask mutants --filter '{name}'` runs the first survivor again"
                ))
                .hint("a case that shows it belongs into parity; where none can, mutants.toml says why"));
        }
        if self.counts.caught == 0 {
            return Err(Error::gate(format!(
                "no fault was judged: {}",
                self.summary()
            )));
        }
        Ok(())
    }
}
