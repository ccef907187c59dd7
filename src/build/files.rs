//! Files as the builds need them: written whole or not at all, left alone where they say the
//! same already (an unchanged time keeps a build warm), listed, and keyed by content.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::stamp::Inputs;
use crate::error::{Doing, Result, reading, writing};

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

/// Every file and link below a folder, sorted; folders that are links are not followed.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(folder).doing(reading(folder))? {
            let entry = entry.doing(reading(folder))?;
            if entry.file_type().doing(reading(folder))?.is_dir() {
                walk(&entry.path(), files)?;
            } else {
                files.push(entry.path());
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    Ok(files)
}

/// A key of the names and the bytes of all files below a folder.
pub fn content_key(folder: &Path) -> Result<String> {
    let mut inputs = Inputs::default();
    for file in files_below(folder)? {
        let bytes = std::fs::read(&file).doing(reading(&file))?;
        let name = file.strip_prefix(folder).unwrap_or(&file);
        inputs = inputs.with(&name.to_string_lossy(), hex(&Sha256::digest(bytes)));
    }
    Ok(inputs.key())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes a file or a folder, or nothing where there is none.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    removed.doing(|| format!("removing {}", path.display()))
}

/// Copies a file, making the folders that it needs.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    std::fs::copy(from, to).doing(writing(to))?;
    Ok(())
}

/// Writes what a reader gives, making the folders that it needs.
pub fn copy_from(from: &mut dyn Read, to: &Path) -> Result<()> {
    make_parent(to)?;
    let mut file = std::fs::File::create(to).doing(writing(to))?;
    std::io::copy(from, &mut file).doing(writing(to))?;
    Ok(())
}

/// `PATH.new` and the like: on the same file system, so that a rename is enough.
pub fn beside(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = prefix.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    prefix.with_file_name(name)
}

/// Makes `copy` hold the files of `original` and no others; those that say the same already
/// keep their time.
pub fn synchronize(original: &Path, copy: &Path) -> Result<()> {
    let names = |folder: &Path| -> Result<BTreeSet<PathBuf>> {
        let below = files_below(folder)?.into_iter();
        Ok(below
            .filter_map(|file| file.strip_prefix(folder).ok().map(Path::to_path_buf))
            .collect())
    };
    std::fs::create_dir_all(copy).doing(writing(copy))?;
    let wanted = names(original)?;
    for name in names(copy)?.difference(&wanted) {
        remove(&copy.join(name))?;
    }
    for name in wanted {
        let (from, to) = (original.join(&name), copy.join(&name));
        let text = std::fs::read(&from).doing(reading(&from))?;
        if std::fs::read(&to).ok().as_ref() != Some(&text) {
            self::copy(&from, &to)?;
        }
    }
    Ok(())
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
