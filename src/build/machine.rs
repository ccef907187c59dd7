//! What doctor looks at beside tools: room on the disk, memory, and on macOS the parts of
//! Xcode, which no package manager brings.

use std::path::Path;
use std::time::Duration;

use super::doctor::{Fitness, Row, empty_row};
use super::search::Lack;
use super::system::{Need, System};
use crate::layout::Layout;
use crate::process::Command;

/// Two prefixes, a build folder and a checkout, with room to spare.
const DISK: u64 = 3 << 30;
/// What the largest of MLX's files take to compile, on two cores.
const MEMORY: u64 = 2 << 30;
/// The oldest macOS that MLX's Metal kernels are built for.
const MACOS_LEAST: &str = "14.0";

const KERNEL: &str = "\
#include <metal_stdlib>
kernel void twice(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i] *= 2;
}
";

/// The rows, each with its lack.
pub fn rows(system: &System, layout: &Layout, scratch: &Path) -> Vec<(Row, Option<Lack>)> {
    let mut rows = vec![disk(layout, free_bytes(layout.target()))];
    rows.push(memory(physical_memory()));
    if system.macos {
        rows.extend(xcode(scratch));
    }
    rows
}

fn nothing_mends(why: String) -> Lack {
    Lack {
        why,
        needs: std::collections::BTreeSet::new(),
    }
}

fn disk(layout: &Layout, free: Option<u64>) -> (Row, Option<Lack>) {
    let mut row = empty_row("disk");
    row.path = layout.target().display().to_string();
    let Some(free) = free else {
        row.note = "its room could not be read".into();
        return (row, None);
    };
    row.note = format!("{} free, a build takes up to {}", gib(free), gib(DISK));
    let why = format!(
        "{} free, a build takes up to {}: free some",
        gib(free),
        gib(DISK)
    );
    (row, (free < DISK).then(|| nothing_mends(why)))
}

fn memory(bytes: Option<u64>) -> (Row, Option<Lack>) {
    let mut row = empty_row("memory");
    let Some(bytes) = bytes else {
        row.note = "its size could not be read".into();
        return (row, None);
    };
    row.note = gib(bytes);
    let why = format!(
        "{}: compilers may be killed; --jobs 1 needs least",
        gib(bytes)
    );
    if bytes < MEMORY {
        row.fitness = Fitness::OptionalLacking;
        return (row, Some(nothing_mends(why)));
    }
    (row, None)
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}

/// Bytes that this user may still write in the file system of the nearest folder that exists.
fn free_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let path = std::ffi::CString::new(there.as_os_str().as_bytes()).ok()?;
    // SAFETY: statvfs is plain numbers; the call fills it, or fails and it is not read.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut stat) == 0)
            .then(|| stat.f_bavail as u64 * stat.f_frsize as u64)
    }
}

fn physical_memory() -> Option<u64> {
    // SAFETY: sysconf(3) takes numbers and gives one.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    Some(u64::try_from(pages).ok()? * u64::try_from(size).ok()?)
}

fn xcode(scratch: &Path) -> Vec<(Row, Option<Lack>)> {
    let mut rows = Vec::new();
    let mut add = |what: &str, outcome: Result<(String, String), String>, need: Need| {
        let mut row = empty_row(what);
        let lack = match outcome {
            Ok((version, note)) => {
                (row.version, row.note) = (version, note);
                None
            }
            Err(why) => Some(Lack::of(need, why)),
        };
        rows.push((row, lack));
    };
    let tools = said(Command::new("xcode-select").arg("-p"));
    add(
        "Xcode tools",
        tools.map(|path| (String::new(), path)),
        Need::Xcode,
    );
    let sdk = said(Command::new("xcrun").args(["-sdk", "macosx", "--show-sdk-version"]));
    let sdk = sdk.and_then(|version| new_enough(version, "the SDK"));
    add("macOS SDK", sdk, Need::Xcode);
    let target = match std::env::var("MACOSX_DEPLOYMENT_TARGET") {
        Ok(target) => Ok(target),
        Err(_) => said(Command::new("sw_vers").arg("-productVersion")),
    };
    let target = target.and_then(|version| new_enough(version, "the deployment target"));
    add("deployment target", target, Need::Xcode);
    add("Metal compiler", metal(scratch), Need::Metal);
    rows
}

fn new_enough(version: String, what: &str) -> Result<(String, String), String> {
    match super::search::at_least(&version, MACOS_LEAST) {
        true => Ok((version, format!("{MACOS_LEAST} or later"))),
        false => Err(format!(
            "{what} is {version}, MLX wants {MACOS_LEAST} or later"
        )),
    }
}

fn metal(scratch: &Path) -> Result<(String, String), String> {
    let source = scratch.join("twice.metal");
    let library = scratch.join("twice.metallib");
    std::fs::write(&source, KERNEL).map_err(|e| e.to_string())?;
    let command = Command::new("xcrun")
        .args(["-sdk", "macosx", "metal"])
        .arg(&source)
        .arg("-o")
        .arg(&library);
    said(command)?;
    Ok((String::new(), "compiled a kernel".into()))
}

fn said(command: Command) -> Result<String, String> {
    let output = command
        .limit(Duration::from_secs(120))
        .run()
        .map_err(|e| e.what().to_string())?;
    Ok(output.stdout.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_lacking_and_says_how_much_a_build_takes() {
        let layout = Layout::at("/p", "/p/target");
        let (_, lack) = disk(&layout, Some(1 << 30));
        assert!(
            lack.unwrap()
                .why
                .contains("1.0 GiB free, a build takes up to 3.0 GiB")
        );
        assert!(disk(&layout, Some(4 << 30)).1.is_none());
    }

    #[test]
    fn little_memory_is_a_warning_only() {
        let (row, lack) = memory(Some(1 << 30));
        assert_eq!(row.fitness, Fitness::OptionalLacking);
        assert!(lack.unwrap().why.contains("--jobs 1"));
        assert!(memory(Some(8 << 30)).1.is_none());
    }

    #[test]
    fn this_machine_has_a_disk_and_memory() {
        assert!(free_bytes(Path::new("/no/such/folder/here")).unwrap() > 0);
        assert!(physical_memory().unwrap() > 1 << 20);
    }
}
