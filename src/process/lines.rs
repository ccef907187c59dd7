//! A child's output as lines, as they come: from a pipe, or from a pseudo terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;

use super::Stream;

/// Sends each line of a pipe; a line ends at a newline, a return, or both.
pub(super) fn reader(
    pipe: impl Read + Send + 'static,
    stream: Stream,
    send: mpsc::Sender<(Stream, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        // Compilers print bytes, not always UTF-8.
        let mut line = Vec::new();
        let mut after_return = false;
        loop {
            let chunk = match pipe.fill_buf() {
                Ok(chunk) if !chunk.is_empty() => chunk,
                _ => break,
            };
            // Progress that is written over itself (git's) ends its lines with a return.
            let end = chunk.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let taken = end.map_or(chunk.len(), |at| at + 1);
            line.extend_from_slice(&chunk[..end.unwrap_or(taken)]);
            let ended_by = end.map(|at| chunk[at]);
            pipe.consume(taken);
            let Some(ended_by) = ended_by else { continue };
            let second_half = after_return && ended_by == b'\n' && line.is_empty();
            after_return = ended_by == b'\r';
            if !second_half && !send_line(&send, stream, &mut line) {
                return;
            }
        }
        if !line.is_empty() {
            send_line(&send, stream, &mut line);
        }
    })
}

/// As [`reader`] for a screen: a line ends at a newline, at a carriage return and where the
/// rest of the line is erased, and colours are left out.
pub(super) fn screen_reader(
    mut screen: File,
    send: mpsc::Sender<(Stream, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        let (mut line, mut escape) = (Vec::new(), false);
        // Linux ends a screen that nobody writes to any more with an error, macOS with 0.
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            for &byte in &bytes[..count] {
                let mut ends = byte == b'\n' || byte == b'\r';
                if escape {
                    escape = !byte.is_ascii_alphabetic();
                    ends = byte == b'K';
                } else if byte == 0x1b {
                    escape = true;
                } else if !ends {
                    line.push(byte);
                }
                if ends && !line.is_empty() && !send_line(&send, Stream::Out, &mut line) {
                    return;
                }
            }
        }
        if !line.is_empty() {
            send_line(&send, Stream::Out, &mut line);
        }
    })
}

/// A pseudo terminal: our end, and the child's. Without a size, so that ninja shortens
/// no line. `None` where the system gives none.
pub(super) fn pseudo_terminal() -> Option<(File, OwnedFd)> {
    let (mut ours, mut childs) = (-1, -1);
    // SAFETY: both descriptors are written by the call; null asks for the defaults.
    let opened = unsafe {
        libc::openpty(
            &mut ours,
            &mut childs,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    if opened != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so both descriptors are open and nobody else's.
    let (ours, childs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(childs)) };
    for fd in [&ours, &childs] {
        // A child that inherited them would keep the screen open.
        // SAFETY: fcntl on an open descriptor.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Some((File::from(ours), childs))
}

fn send_line(send: &mpsc::Sender<(Stream, String)>, stream: Stream, line: &mut Vec<u8>) -> bool {
    let text = String::from_utf8_lossy(line).into_owned();
    line.clear();
    send.send((stream, text)).is_ok()
}
