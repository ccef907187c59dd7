//! Any bytes as the name of a symbol: what is printed of it is short and commands no terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mlx_fork::probe::names::{plain, printable, qualified_name, signature};

fuzz_target!(|bytes: &[u8]| {
    let raw = printable(bytes);
    assert!(!raw.contains(char::is_control));
    for name in [qualified_name(&raw), signature(&raw)] {
        assert!(name.len() <= raw.len().max(16 << 10));
        assert!(!plain(&name).contains(char::is_control));
    }
});
