//! What a person sees while a command runs: progress and diagnostics on stderr, bars only
//! on a terminal.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mlx_fork::ui::Ui;
use mlx_fork::{Error, Kind};

/// Prints an error to stderr and gives its exit code.
pub fn report(error: &Error) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "error: {error}");
    for hint in error.hints() {
        let _ = writeln!(stderr, "  hint: {hint}");
    }
    ExitCode::from(error.kind().exit_code())
}

/// A closed pipe (`… | head`) ends the process as it ends other programs; output that can't be
/// written (a full disk) ends it with exit code 5 instead of a panic's.
pub fn end_quietly_when_nobody_reads() {
    // SAFETY: sets a signal's disposition, before this process has another thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        let said = said.map_or("", String::as_str);
        if said.starts_with("failed printing to") {
            let _ = writeln!(std::io::stderr(), "error: {said}");
            std::process::exit(Kind::Environment.exit_code().into());
        }
        usual(panic);
    }));
}

/// The [`Ui`] of a terminal, or of a log file where stderr is none.
pub struct Terminal {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    step: String,
    since: Instant,
    /// Without a bar, progress is a line now and then: when the last one was.
    said: Instant,
}

/// Without a terminal, progress is a line every so often.
const LINE_EVERY: Duration = Duration::from_secs(20);

impl Terminal {
    /// For this process's stderr.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = "{spinner} {prefix} [{elapsed}] {msg}";
            bar.set_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Terminal {
            bar,
            state: Mutex::new(State {
                step: String::new(),
                since: now,
                said: now,
            }),
        }
    }

    /// True where somebody can be asked: at a terminal, to read from and to write to.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && self.bar.is_some()
    }

    /// The line that is typed after a question; empty where there is none.
    pub fn ask(&self, question: &str) -> String {
        let asked = || {
            eprint!("{question}");
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            read.map_or(String::new(), |_| line)
        };
        self.bar
            .as_ref()
            .map_or_else(asked, |bar| bar.suspend(asked))
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Ui for Terminal {
    fn step(&self, name: &str) {
        if let Ok(mut state) = self.state.lock() {
            let now = Instant::now();
            *state = State {
                step: name.to_string(),
                since: now,
                said: now,
            };
        }
        match &self.bar {
            Some(bar) => {
                bar.reset_elapsed();
                bar.set_prefix(name.to_string());
                bar.set_message(String::new());
            }
            None => eprintln!("[{name}]"),
        }
    }

    fn progress(&self, done: u64, total: u64, at: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{done}/{total} {at}"));
            return;
        }
        if let Ok(mut state) = self.state.lock()
            && state.said.elapsed() >= LINE_EVERY
        {
            state.said = Instant::now();
            let elapsed = state.since.elapsed().as_secs();
            eprintln!("[{}] {elapsed} s: {done}/{total} {at}", state.step);
        }
    }

    fn note(&self, text: &str) {
        self.line(text);
    }

    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }
}
