//! Small files that other parts rely on: written whole or not at all, and left alone where
//! they say the same already, since an unchanged time keeps a build warm.

use std::io::Write;
use std::path::Path;

use crate::error::{Doing, Result, writing};

/// Makes `path` say `text`; a run that is killed leaves the old text.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let folder = make_parent(path)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).doing(writing(path))?;
    new.write_all(text.as_bytes()).doing(writing(path))?;
    new.persist(path)
        .map_err(|e| e.error)
        .doing(writing(path))?;
    Ok(())
}

/// Makes `at` a symbolic link to `to`.
pub fn link(to: &Path, at: &Path) -> Result<()> {
    if std::fs::read_link(at).is_ok_and(|found| found == to) {
        return Ok(());
    }
    make_parent(at)?;
    match std::fs::remove_file(at) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).doing(writing(at)),
        _ => {}
    }
    std::os::unix::fs::symlink(to, at).doing(writing(at))
}

fn make_parent(path: &Path) -> Result<&Path> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).doing(writing(folder))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_says_the_same_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        replace(&path, "one").unwrap();
        let time = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
        let first = time(&path);
        std::thread::sleep(std::time::Duration::from_millis(20));
        replace(&path, "one").unwrap();
        assert_eq!(time(&path), first);
        replace(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert!(time(&path) > first);
    }

    #[test]
    fn a_link_follows_what_it_should_point_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("x/link");
        link(Path::new("/one"), &at).unwrap();
        link(Path::new("/two"), &at).unwrap();
        assert_eq!(std::fs::read_link(&at).unwrap(), Path::new("/two"));
    }
}
