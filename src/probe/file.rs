//! The bytes of a file that a user names, which may be anything that has a path: a folder, a
//! device, a pipe that nobody writes to.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Doing, Error, Kind, Result, reading};

/// The largest wheel of MLX has some hundred MB, a library with a CUDA backend too.
const LARGEST: u64 = 2 << 30;

/// Reads the regular file at `path`; anything else is an error of the kind `wrong`.
pub fn read(path: &Path, wrong: Kind) -> Result<Vec<u8>> {
    let refused = |what: String| Error::new(wrong, what).doing(reading(path)());
    // Without the flag a pipe would be waited for until somebody writes to it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .doing(reading(path))?;
    let metadata = file.metadata().doing(reading(path))?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file".into()));
    }
    let size = metadata.len();
    if size > LARGEST {
        return Err(refused(format!(
            "it has {size} bytes, too many for a build of MLX"
        )));
    }
    let mut bytes = Vec::new();
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(length).map_err(|_| {
        Error::environment(format!("there is no memory for its {size} bytes"))
            .doing(reading(path)())
    })?;
    // It may grow while it is read.
    file.take(LARGEST)
        .read_to_end(&mut bytes)
        .doing(reading(path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = crate::process::Command::new("mkfifo").arg(&pipe).run();
        made.unwrap();
        for path in [
            dir.path(),
            &pipe,
            Path::new("/dev/zero"),
            Path::new("/dev/stdin"),
        ] {
            // Standard input may be a file under a test's runner.
            if path.is_file() {
                continue;
            }
            let error = read(path, Kind::Usage).unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains("regular file") || said.contains("No such"),
                "{said}"
            );
        }
        assert_eq!(
            read(Path::new("/dev/null"), Kind::Usage)
                .unwrap_err()
                .kind(),
            Kind::Usage
        );
    }

    #[test]
    fn a_file_too_large_for_a_build_is_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.metallib");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(4 << 30).unwrap();
        let said = read(&path, Kind::Usage).unwrap_err().to_string();
        assert!(said.contains("4294967296 bytes, too many"), "{said}");
    }
}
