//! How long a `setup-mlx` with nothing to do takes, as a whole process.
//!
//! `cargo bench --bench warm_setup` after a finished `cargo xtask setup-mlx`. A program, not a
//! test: it prints what it measured and judges nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 20;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let xtask = root.join("target/debug/xtask");
    let run = || {
        let start = Instant::now();
        let status = Command::new(&xtask)
            .arg("setup-mlx")
            .current_dir(root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("target/debug/xtask starts; `cargo xtask setup-mlx` builds it");
        assert!(status.success(), "setup-mlx failed: run it by hand first");
        start.elapsed().as_secs_f64() * 1e3
    };
    run();
    let mut times: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    times.sort_by(f64::total_cmp);
    println!(
        "warm setup-mlx, {RUNS} runs: min {:.1} ms, median {:.1} ms, max {:.1} ms",
        times[0],
        times[RUNS / 2],
        times[RUNS - 1]
    );
}
