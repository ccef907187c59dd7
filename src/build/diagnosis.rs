//! What went wrong in a build, from what it printed: the first error's lines, and whether
//! the machine is to blame. Not the running of builds.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Kind};

/// A person reads this many lines; the log has the others.
const LINES: usize = 15;
/// A compiler's command line can be thousands of characters.
const WIDTH: usize = 240;

/// A disk with less room than this is full: a compiler's temporary files need more.
const LEAST_ROOM: u64 = 1 << 20;

/// What a machine does to a build, as programs print it, and the way out.
const MACHINE: &[(&str, &str, &str)] = &[
    (
        "No space left on device",
        "the disk is full",
        "free some disk space and run the same command again",
    ),
    (
        "Disk quota exceeded",
        "the disk quota is used up",
        "free some disk space and run the same command again",
    ),
    (
        "File size limit exceeded",
        "a file reached the size limit of this shell",
        "raise `ulimit -f` and run the same command again",
    ),
    (
        "File too large",
        "a file reached the size limit of this shell",
        "raise `ulimit -f` and run the same command again",
    ),
    (
        "Read-only file system",
        "the build folder is read-only",
        "make it writable for this user, or set MLX_FORK_TARGET to a folder that is",
    ),
    (
        "Permission denied",
        "a file of the build is not writable",
        "make target/ writable for this user and run again",
    ),
    (
        "Killed signal terminated program",
        "the system ended a compiler, as it does when memory runs out",
        "run again with fewer compilers at once: --jobs 1",
    ),
    (
        "Cannot allocate memory",
        "memory ran out",
        "run again with fewer compilers at once: --jobs 1",
    ),
    (
        "out of memory",
        "memory ran out",
        "run again with fewer compilers at once: --jobs 1",
    ),
];

/// The error of a step that failed in this folder: its first error's lines, and `kind` unless
/// the machine is to blame.
pub fn failure(printed: &str, ending: &str, kind: Kind, folder: &Path) -> Error {
    let lines = first_error(printed);
    let shown = lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n");
    let said = MACHINE.iter().find(|(text, ..)| printed.contains(text));
    // cmake writes half a file without a word, and stumbles over it later.
    let full = || room(folder).is_some_and(|room| room < LEAST_ROOM);
    let machine = said.or_else(|| full().then_some(&MACHINE[0]));
    match machine {
        Some((_, what, hint)) => {
            Error::environment(format!("{what} ({ending}):\n{shown}")).hint(*hint)
        }
        None => Error::new(kind, format!("{ending}:\n{shown}")),
    }
}

/// The bytes that this user may still write where this folder is.
pub(crate) fn room(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: statvfs only writes to the struct, which is plain numbers.
    let (found, status) = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        let status = libc::statvfs(path.as_ptr(), &raw mut found);
        (found, status)
    };
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on macOS")]
    let room = (found.f_bavail as u64).saturating_mul(found.f_frsize as u64);
    (status == 0).then_some(room)
}

/// The lines of the first error that a compiler, a linker, ninja or cmake printed.
pub fn first_error(printed: &str) -> Vec<String> {
    let lines: Vec<&str> = printed
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let block = cmake_error(&lines)
        .or_else(|| compile_error(&lines))
        .unwrap_or_else(|| &lines[lines.len().saturating_sub(LINES)..]);
    block.iter().take(LINES).map(|line| shorten(line)).collect()
}

/// `CMake Error at …` with its indented text, to the next message.
fn cmake_error<'a>(lines: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let from = lines
        .iter()
        .position(|line| line.starts_with("CMake Error"))?;
    let ends = |line: &&str| line.starts_with("CMake ") || line.starts_with("-- ");
    let length = lines[from + 1..].iter().position(ends);
    Some(&lines[from..length.map_or(lines.len(), |length| from + 1 + length)])
}

/// The first diagnostic of the first command that failed, with the lines that lead to it.
fn compile_error<'a>(lines: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let failed = lines.iter().position(|line| line.starts_with("FAILED: "));
    let block = &lines[failed.unwrap_or(0)..];
    let is_error = |line: &&str| {
        !line.starts_with("FAILED: ")
            && [
                "error: ",
                "error:",
                "Error: ",
                "undefined reference",
                "ld: ",
                "Undefined symbols",
            ]
            .iter()
            .any(|mark| line.contains(mark))
            && !is_command(line)
    };
    let Some(at) = block.iter().position(is_error) else {
        // No diagnostic: a program was killed, say. All that it printed is what there is.
        let failed = failed?;
        return Some(&lines[failed..]);
    };
    let leads = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("In file included from")
            || line.starts_with("from ")
            || line.contains(": In ")
            || line.contains("required from")
    };
    let mut from = at;
    while from > 0 && at - from < 4 && leads(&block[from - 1]) {
        from -= 1;
    }
    let ends = |line: &&str| {
        line.starts_with("ninja: ") || is_status(line) || line.starts_with("FAILED: ")
    };
    // The error may be ninja's own.
    let length = block[at + 1..].iter().position(ends);
    Some(&block[from..length.map_or(block.len(), |length| at + 1 + length)])
}

/// `[12/83] …`.
fn is_status(line: &str) -> bool {
    super::ninja::status(line).is_some()
}

/// Ninja repeats the command that failed, and a command may well have "error:" in it.
fn is_command(line: &str) -> bool {
    line.contains(" -o ") && line.contains(" -c ") || line.starts_with(": && ")
}

fn shorten(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_string();
    }
    line.chars().take(WIDTH).chain(" …".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPILE: &str = "\
[1/9] Building CXX object CMakeFiles/mlx.dir/mlx/a.cpp.o
/src/a.cpp:3:1: warning: a warning is not an error
[2/9] Building CXX object CMakeFiles/mlx.dir/mlx/b.cpp.o
FAILED: [code=1] CMakeFiles/mlx.dir/mlx/b.cpp.o
/usr/bin/c++ -Werror:x -o CMakeFiles/mlx.dir/mlx/b.cpp.o -c /src/b.cpp
/src/b.cpp: In function 'int f()':
/src/b.cpp:7:3: error: 'y' was not declared in this scope
    7 |   y();
      |   ^
[3/9] Building CXX object CMakeFiles/mlx.dir/mlx/c.cpp.o
FAILED: [code=1] CMakeFiles/mlx.dir/mlx/c.cpp.o
/src/c.cpp:1:1: error: another
ninja: build stopped: subcommand failed.
";

    #[test]
    fn an_error_of_ninjas_own_is_shown() {
        let printed = "ninja: Entering directory `/b'\n\
                       ninja: error: 'a.h', needed by 'b.cpp', missing and no known rule to make it\n";
        assert_eq!(
            first_error(printed),
            ["ninja: error: 'a.h', needed by 'b.cpp', missing and no known rule to make it"]
        );
    }

    #[test]
    fn the_first_compilers_error_comes_with_its_function_and_its_source_line() {
        assert_eq!(
            first_error(COMPILE),
            [
                "/src/b.cpp: In function 'int f()':",
                "/src/b.cpp:7:3: error: 'y' was not declared in this scope",
                "    7 |   y();",
                "      |   ^",
            ]
        );
    }

    #[test]
    fn cmakes_first_error_ends_where_the_next_message_begins() {
        let printed = "-- Looking\nCMake Error at CMakeLists.txt:3 (find_package):\n  Could not find BLAS\n\nCall Stack (most recent call first):\n  CMakeLists.txt:9\n\n-- Configuring incomplete, errors occurred!\n";
        let lines = first_error(printed);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[1].contains("BLAS"));
    }

    #[test]
    fn a_thousand_lines_and_a_long_line_are_cut() {
        let printed = format!(
            "FAILED: x\n{}",
            "y".repeat(5000) + "\nz\n".repeat(900).as_str()
        );
        let lines = first_error(&printed);
        assert_eq!(lines.len(), LINES);
        assert!(lines[1].chars().count() < 250);
    }

    #[test]
    fn a_full_disk_is_the_machines_fault_and_a_wrong_line_of_code_is_not() {
        let full = "FAILED: a.o\nas: fatal error: a.o: No space left on device\n";
        let error = failure(full, "exit code 1", Kind::Gate, &std::env::temp_dir());
        assert_eq!(error.kind(), Kind::Environment);
        assert!(error.hints()[0].contains("disk space"));
        assert_eq!(
            failure(COMPILE, "exit code 1", Kind::Gate, &std::env::temp_dir()).kind(),
            Kind::Gate
        );
    }
}
