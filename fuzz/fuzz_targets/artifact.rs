//! Any bytes as a file for `cargo xtask probe --artifact`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlx_fork::probe::artifact;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = artifact::parse("file", bytes) {
        artifact::compare(&found, &found);
    }
});
