//! A child that is asked line by line and answers line by line, and waits in between.

use std::io::Write;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lines::reader;
use super::{Command, Group, Output, Stream, spawn_error};
use crate::error::{Error, Result};

/// A running conversation; dropped, it ends the child.
#[derive(Debug)]
pub struct Talk {
    shown: String,
    group: Group,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<(Stream, String)>,
    readers: Vec<JoinHandle<()>>,
    stderr: String,
}

impl Command {
    /// Starts it and leaves it waiting for what is said to its standard input.
    pub fn talk(mut self) -> Result<Talk> {
        let shown = self.display();
        self.inner
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.inner.spawn().map_err(|e| spawn_error(&shown, &e))?;
        let (send, lines) = mpsc::channel();
        let out = child.stdout.take();
        let err = child.stderr.take();
        let readers = [
            out.map(|pipe| reader(pipe, Stream::Out, send.clone())),
            err.map(|pipe| reader(pipe, Stream::Err, send)),
        ];
        Ok(Talk {
            shown,
            input: child.stdin.take(),
            group: Group {
                child,
                own_group: false,
            },
            lines,
            readers: readers.into_iter().flatten().collect(),
            stderr: String::new(),
        })
    }
}

impl Talk {
    /// The process's id.
    pub fn id(&self) -> u32 {
        self.group.child.id()
    }

    /// Writes a line. That the child is gone shows in the answer that does not come.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    /// The next line of its standard output; none when it ended or `patience` is over.
    pub fn hear(&mut self, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left).ok()? {
                (Stream::Out, line) => return Some(line),
                (Stream::Err, line) => {
                    self.stderr.push_str(&line);
                    self.stderr.push('\n');
                }
            }
        }
    }

    /// How it ended, after an answer that did not come: killed as timed out where it still runs.
    pub fn end(mut self) -> Result<Output> {
        self.input = None;
        // A process that has closed its streams is not yet one that has ended.
        let until = Instant::now() + Duration::from_millis(500);
        let mut status = self.group.child.try_wait();
        while matches!(status, Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
            status = self.group.child.try_wait();
        }
        let timed_out = matches!(status, Ok(None));
        if timed_out {
            self.group.kill();
        }
        let status = self.group.child.wait().map_err(|e| {
            Error::environment(e.to_string()).doing(format!("waiting for `{}`", self.shown))
        })?;
        for thread in self.readers.drain(..) {
            let _ = thread.join();
        }
        for (stream, line) in self.lines.try_iter() {
            if stream == Stream::Err {
                self.stderr.push_str(&line);
                self.stderr.push('\n');
            }
        }
        Ok(Output {
            status,
            stdout: String::new(),
            stderr: std::mem::take(&mut self.stderr),
            timed_out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn sh(script: &str) -> Talk {
        Command::new("sh").arg("-c").arg(script).talk().unwrap()
    }

    #[test]
    fn each_line_is_answered_before_the_next_is_said() {
        let mut talk = sh("while read -r line; do echo \"<$line>\"; done");
        for word in ["a", "b c"] {
            talk.say(word);
            assert_eq!(talk.hear(PATIENCE), Some(format!("<{word}>")));
        }
        assert!(talk.end().unwrap().success());
    }

    #[test]
    fn a_death_is_told_with_its_signal_and_last_words() {
        let mut talk = sh("read -r line; echo 'last words' >&2; kill -SEGV $$");
        talk.say("go");
        assert_eq!(talk.hear(PATIENCE), None);
        let output = talk.end().unwrap();
        assert_eq!(output.ending(), "signal 11");
        assert_eq!(output.stderr, "last words\n");
    }

    #[test]
    fn silence_beyond_patience_ends_the_child() {
        let mut talk = sh("exec sleep 60");
        assert_eq!(talk.hear(Duration::from_millis(50)), None);
        let output = talk.end().unwrap();
        assert!(output.timed_out && !output.success());
    }
}
