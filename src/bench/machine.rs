//! The machine that a bench runs on, and who else uses it meanwhile.

use serde::Serialize;

/// What does not change during a run.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name; empty where the system tells none.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        Machine {
            cpu: cpu_name().unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

#[cfg(target_os = "linux")]
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

#[cfg(not(target_os = "linux"))]
fn cpu_name() -> Option<String> {
    let sysctl = crate::process::Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]);
    let output = sysctl.output().ok()?;
    output.success().then(|| output.stdout.trim().to_string())
}

/// Processes that ran or waited for a core in the last minute, on average.
pub fn load_average() -> Option<f64> {
    let mut loads = [0.0];
    // SAFETY: getloadavg(3) writes as many numbers as it is told there is room for.
    let got = unsafe { libc::getloadavg(loads.as_mut_ptr(), 1) };
    (got == 1).then_some(loads[0])
}

/// Bytes that processes can still have; none where the system does not tell.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

/// Processor time since the system started, in ticks.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    all: u64,
    ours: u64,
}

impl Usage {
    /// Now; `ours` are the processes of this bench. None where the system does not tell.
    pub fn now(ours: impl IntoIterator<Item = u32>) -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let of = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            process_ticks(&stat)
        };
        Some(Usage {
            all: busy_ticks(&stat)?,
            ours: ours.into_iter().filter_map(of).sum(),
        })
    }

    /// Cores that others have kept busy since then, on average over `seconds`; time that the
    /// host gave to other machines is among it.
    pub fn others_since(self, then: Usage, seconds: f64) -> f64 {
        // SAFETY: sysconf(3) takes a number and returns one.
        let rate = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        let others = self.all.saturating_sub(then.all) as f64;
        let ours = self.ours.saturating_sub(then.ours) as f64;
        ((others - ours) / rate / seconds).max(0.0)
    }
}

/// Of /proc/stat's first line everything but the idle time and the time spent waiting for disks.
fn busy_ticks(stat: &str) -> Option<u64> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = numbers
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    // user nice system (idle iowait) irq softirq steal; guests are part of user.
    let busy = [0, 1, 2, 5, 6, 7].map(|i| ticks.get(i).copied().unwrap_or(0));
    Some(busy.iter().sum())
}

/// User and system time of /proc/PID/stat, counted from behind the name, which may hold spaces.
fn process_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_from_where_linux_writes_them() {
        let stat = "cpu  10 2 30 400 50 6 7 8 9 1\ncpu0 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(10 + 2 + 30 + 6 + 7 + 8));
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 100 0 0 0 70 5 0 0 20 0 1 0 9";
        assert_eq!(process_ticks(stat), Some(75));
    }

    #[test]
    fn what_is_not_ours_is_the_others() {
        let then = Usage {
            all: 1000,
            ours: 10,
        };
        let now = Usage {
            all: 1300,
            ours: 210,
        };
        // SAFETY: as above.
        let rate = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        assert_eq!(now.others_since(then, 100.0 / rate), 1.0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_tells_all_of_it() {
        assert!(Machine::here().cores > 0 && load_average().is_some());
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(Usage::now([std::process::id()]).is_some_and(|usage| usage.all > usage.ours));
    }
}
