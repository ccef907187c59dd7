//! Listens to a setup, so that one that fails can tell how far it got: its error has no list of
//! the steps that passed.

use std::sync::Mutex;

use crate::ui::Ui;

/// Passes everything on, and keeps the names of the steps that began.
pub struct Heard<'u> {
    ui: &'u dyn Ui,
    begun: Mutex<Vec<String>>,
}

impl<'u> Heard<'u> {
    /// Passes on to `ui`.
    pub fn new(ui: &'u dyn Ui) -> Self {
        Heard {
            ui,
            begun: Mutex::default(),
        }
    }

    /// The steps before the one that is under way.
    pub fn passed(self) -> Vec<String> {
        let mut begun = self.begun.into_inner().unwrap_or_default();
        begun.pop();
        begun
    }
}

impl Ui for Heard<'_> {
    fn step(&self, name: &str) {
        // `fork: build` is a part of a step.
        if !name.contains(':')
            && let Ok(mut begun) = self.begun.lock()
        {
            begun.push(name.into());
        }
        self.ui.step(name);
    }
    fn progress(&self, done: u64, total: u64, at: &str) {
        self.ui.progress(done, total, at);
    }
    fn note(&self, text: &str) {
        self.ui.note(text);
    }
    fn warn(&self, text: &str) {
        self.ui.warn(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Silent;

    #[test]
    fn the_steps_before_the_one_that_failed_are_those_that_passed() {
        let heard = Heard::new(&Silent);
        for name in ["tools", "stock", "stock: build", "fork", "fork: build"] {
            heard.step(name);
        }
        assert_eq!(heard.passed(), ["tools", "stock"]);
        assert!(Heard::new(&Silent).passed().is_empty());
    }
}
