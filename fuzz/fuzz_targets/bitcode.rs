//! Any bytes as the bitcode of a kernel in a Metal library that is otherwise whole.
#![no_main]

#[path = "../../tests/common/crafted.rs"]
mod crafted;

use libfuzzer_sys::fuzz_target;
use mlx_fork::probe::artifact;

fuzz_target!(|bytes: &[u8]| {
    let library = crafted::metallib(&[("kernel", bytes)]);
    if let Ok(found) = artifact::parse("file", &library) {
        assert_eq!(found[0].kernels.len(), 1);
    }
});
