//! What the library tells the one who waits: events, not text on a stream.
//!
//! `xtask` shows them (progress bars on a terminal, lines elsewhere); tests record them.

/// Receives what happens during a long operation.
pub trait Ui: Send + Sync {
    /// A step begins: "fork: build".
    fn step(&self, name: &str);
    /// How far the step is: `done` of `total`, and what is at hand (a file, a mirror).
    fn progress(&self, done: u64, total: u64, at: &str);
    /// Something worth a line: which mirror served, what was skipped and why.
    fn note(&self, text: &str);
    /// Something that a person should look at.
    fn warn(&self, text: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Ui for Silent {
    fn step(&self, _: &str) {}
    fn progress(&self, _: u64, _: u64, _: &str) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}
