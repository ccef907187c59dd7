//! Child processes, kept in one place: captured output, logs, time limits, and a
//! process group of their own so that nothing outlives a run that gave up.

mod lines;
mod talk;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result, writing};

use lines::{pseudo_terminal, reader, screen_reader};
pub use talk::Talk;

/// A command to run: program, arguments, environment, folder.
#[derive(Debug)]
pub struct Command {
    program: OsString,
    inner: std::process::Command,
    args: Vec<OsString>,
    limit: Option<Duration>,
    silence: Option<Duration>,
    log: Option<PathBuf>,
    terminal: bool,
}

/// A finished child.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// True when it was killed because its time was up, or because it was silent too long.
    pub timed_out: bool,
}

impl Output {
    /// True for exit code 0.
    pub fn success(&self) -> bool {
        self.status.success() && !self.timed_out
    }

    /// `exit code 2`, `signal 11`, `no answer within the time limit`.
    pub fn ending(&self) -> String {
        if self.timed_out {
            return "no end within its time limit".into();
        }
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            _ => "an unknown ending".into(),
        }
    }
}

/// Where a line of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Command {
    /// A command with no arguments; its standard input is empty.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = std::process::Command::new(program.as_ref());
        inner.stdin(Stdio::null());
        die_with_parent(&mut inner);
        Command {
            program: program.as_ref().to_os_string(),
            inner,
            args: Vec::new(),
            limit: None,
            silence: None,
            log: None,
            terminal: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg.as_ref());
        self.args.push(arg.as_ref().to_os_string());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, |command, arg| command.arg(arg))
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// Runs in this folder.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.inner.current_dir(folder);
        self
    }

    /// Kills the child and its children after this time.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        // A group of its own, so that its children can be killed with it.
        self.inner.process_group(0);
        self.limit = Some(limit);
        self
    }

    /// Kills the child and its children when it prints nothing for this long.
    #[must_use]
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.inner.process_group(0);
        self.silence = Some(limit);
        self
    }

    /// Writes the command line and everything it prints to this file.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Gives it a pseudo terminal as standard output, where the system has one: ninja
    /// tells what it begins only to a terminal. A line then ends at a carriage return too.
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// The command as a person would type it.
    pub fn display(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(|word| quote(&word.to_string_lossy()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs it and gives back all that it printed, whatever its exit code.
    pub fn output(self) -> Result<Output> {
        self.lines(|_, _| {})
    }

    /// As [`Self::output`], and an exit code other than 0 is an [`Error`] with the end of
    /// what it printed.
    pub fn run(self) -> Result<Output> {
        let shown = self.display();
        let log = self.log.clone();
        let output = self.output()?;
        check(&shown, &output, log.as_deref())?;
        Ok(output)
    }

    /// Runs it; `each` hears every line as it comes.
    pub fn lines(mut self, mut each: impl FnMut(Stream, &str)) -> Result<Output> {
        let shown = self.display();
        let mut log = match &self.log {
            Some(path) => Some(open_log(path, &shown)?),
            None => None,
        };
        let screen = self.terminal.then(pseudo_terminal).flatten();
        let master = screen.map(|(master, slave)| {
            self.inner.stdout(slave);
            master
        });
        if master.is_none() {
            self.inner.stdout(Stdio::piped());
        }
        self.inner.stderr(Stdio::piped());
        let child = self.inner.spawn().map_err(|e| spawn_error(&shown, &e))?;
        // The command holds the terminal's other end: while it is open, reading never ends.
        self.inner.stdout(Stdio::null());
        let mut group = Group {
            child,
            own_group: self.limit.is_some() || self.silence.is_some(),
        };
        let (send, receive) = mpsc::channel();
        let out = group.child.stdout.take();
        let err = group.child.stderr.take();
        let readers = [
            master.map(|screen| screen_reader(screen, send.clone())),
            out.map(|pipe| reader(pipe, Stream::Out, send.clone())),
            err.map(|pipe| reader(pipe, Stream::Err, send.clone())),
        ];
        drop(send);
        let start = Instant::now();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut timed_out = false;
        loop {
            let left = self.limit.map(|l| l.saturating_sub(start.elapsed()));
            let patience = [left, self.silence].into_iter().flatten().min();
            match receive.recv_timeout(patience.unwrap_or(Duration::from_secs(3600))) {
                Ok((stream, line)) => {
                    if let Some(log) = &mut log {
                        // A log that can't be written must not fail the build it describes.
                        let _ = writeln!(log, "{line}");
                    }
                    each(stream, &line);
                    let text = if stream == Stream::Out {
                        &mut stdout
                    } else {
                        &mut stderr
                    };
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) if patience.is_some() => {
                    timed_out = true;
                    group.kill();
                    break;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        let status = group
            .child
            .wait()
            .doing(|| format!("waiting for `{shown}`"))?;
        if !timed_out {
            for thread in readers.into_iter().flatten() {
                let _ = thread.join();
            }
        }
        Ok(Output {
            status,
            stdout,
            stderr,
            timed_out,
        })
    }

    /// Replaces this process by the command (Unix `exec`), its input and output untouched.
    pub fn exec(mut self) -> Error {
        let shown = self.display();
        // It is nobody's child: `nohup cargo xtask python …` must outlive its shell.
        live_on(&mut self.inner);
        self.inner
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit());
        spawn_error(&shown, &self.inner.exec())
    }
}

/// An error unless `output` is a success: what ran, how it ended, its last lines.
pub fn check(shown: &str, output: &Output, log: Option<&Path>) -> Result<()> {
    if output.success() {
        return Ok(());
    }
    let said = if output.stderr.trim().is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let error = Error::environment(format!(
        "`{shown}` ended with {}:\n{}",
        output.ending(),
        last_lines(said, 20)
    ));
    Err(match log {
        Some(log) => error.hint(format!("the full log is {}", log.display())),
        None => error,
    })
}

/// The last `n` lines of a text, each indented.
pub fn last_lines(text: &str, n: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(n);
    lines[from..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A word as a POSIX shell wants it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn spawn_error(shown: &str, e: &std::io::Error) -> Error {
    Error::environment(format!("can't start `{shown}`: {e}"))
        .hint("`cargo xtask doctor` says what is missing and how to get it")
}

fn open_log(path: &Path, shown: &str) -> Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).doing(writing(parent))?;
    }
    let mut file = File::create(path).doing(writing(path))?;
    writeln!(file, "$ {shown}").doing(writing(path))?;
    Ok(file)
}

/// Asks the kernel to end the child when this process is killed: an orphaned ninja would
/// go on writing into a build folder that the next run believes to be its own.
fn die_with_parent(command: &mut std::process::Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl(2) is async-signal-safe and touches nothing of this process.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Takes [`die_with_parent`] back.
fn live_on(command: &mut std::process::Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: as above; this runs after it.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, 0);
            Ok(())
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// A child; dropped before it ended, it is killed, with its group where it has one.
#[derive(Debug)]
struct Group {
    child: Child,
    own_group: bool,
}

impl Group {
    fn kill(&mut self) {
        match i32::try_from(self.child.id()) {
            // SAFETY: kill(2) takes any pid; ours is a child that has not been reaped.
            Ok(pid) if self.own_group => unsafe {
                libc::kill(-pid, libc::SIGKILL);
            },
            _ => {
                let _ = self.child.kill();
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh").arg("-c").arg(script)
    }

    #[test]
    fn both_streams_and_the_exit_code_come_back() {
        let output = sh("echo out; echo err >&2; exit 3").output().unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(output.ending(), "exit code 3");
    }

    #[test]
    fn a_failure_shows_the_command_its_ending_and_its_last_lines() {
        let error = sh("echo broken >&2; exit 9").run().unwrap_err();
        for part in ["echo broken", "exit code 9", "    broken"] {
            assert!(error.what().contains(part), "{error}");
        }
    }

    #[test]
    fn a_child_over_its_limit_is_killed_with_its_children() {
        let start = Instant::now();
        let output = sh("sleep 60 & sleep 60")
            .limit(Duration::from_millis(200))
            .output()
            .unwrap();
        assert!(output.timed_out && !output.success());
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_program_on_a_pseudo_terminal_is_heard_before_its_line_ends() {
        let start = Instant::now();
        let mut heard = Vec::new();
        let script =
            r"test -t 1 && printf '\r[0/1] begins\033[K'; sleep 1; printf '\033[31mend\033[0m\r\n'";
        let output = sh(script)
            .terminal()
            .lines(|_, line| heard.push((line.to_string(), start.elapsed())))
            .unwrap();
        assert_eq!(output.stdout, "[0/1] begins\nend\n");
        assert!(heard[1].1 - heard[0].1 > Duration::from_millis(500));
    }

    #[test]
    fn a_child_that_falls_silent_is_killed_and_one_that_talks_is_not() {
        let quarter = Duration::from_millis(250);
        let start = Instant::now();
        let silent = sh("echo one; sleep 60").silence_limit(quarter).output();
        let silent = silent.unwrap();
        assert!(silent.timed_out && silent.stdout == "one\n");
        assert!(start.elapsed() < Duration::from_secs(20));
        let talks = sh("for i in 1 2 3 4 5; do printf '%s\\r' $i; sleep 0.1; done")
            .silence_limit(Duration::from_secs(10))
            .output()
            .unwrap();
        assert!(talks.success());
        assert_eq!(talks.stdout, "1\n2\n3\n4\n5\n");
    }

    #[test]
    fn every_kind_of_line_end_ends_one_line() {
        let output = sh(r"printf 'a\r\nb\n\nc\rd'").output().unwrap();
        assert_eq!(output.stdout, "a\nb\n\nc\nd\n");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = Command::new("no-such-program-here").output().unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"));
        assert_eq!(error.kind(), crate::Kind::Environment);
    }
}
