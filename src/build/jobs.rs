//! How many compilers at once: as many as there are cores and memory for.

/// What the largest of MLX's files needs to compile, in bytes.
const MEMORY_PER_JOB: u64 = 3 << 29;

/// For this machine, now; at least 1.
pub fn default() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    bounded(cores, available_memory())
}

fn bounded(cores: usize, memory: Option<u64>) -> usize {
    let by_memory = memory.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes / MEMORY_PER_JOB).unwrap_or(usize::MAX)
    });
    cores.min(by_memory).max(1)
}

/// Memory that can be had without swapping: what Linux says, a container's limit, or else
/// all that the machine has.
fn available_memory() -> Option<u64> {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let free = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| field(&text, "MemAvailable:"));
    [limit, free.or_else(installed_memory)]
        .into_iter()
        .flatten()
        .min()
}

/// A field of /proc/meminfo, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn installed_memory() -> Option<u64> {
    // SAFETY: sysconf reads nothing of ours.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    u64::try_from(pages)
        .ok()?
        .checked_mul(u64::try_from(size).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_bounds_the_jobs_and_one_always_runs() {
        assert_eq!(bounded(8, Some(6 << 30)), 4);
        assert_eq!(bounded(2, Some(64 << 30)), 2);
        assert_eq!(bounded(8, Some(1 << 30)), 1);
        assert_eq!(bounded(8, None), 8);
        assert!(default() >= 1);
    }

    #[test]
    fn the_memory_that_linux_has_free_is_read_in_kilobytes() {
        let text = "MemTotal:  100 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(2 << 20));
        assert!(installed_memory().unwrap() > 1 << 28);
    }
}
