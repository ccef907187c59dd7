//! Names out of a library's file, which may be hostile: C++ names demangled within bounds and as
//! both standard libraries have them, and names that a terminal can be given.

use std::fmt::Write as _;

use cpp_demangle::{DemangleOptions, DemangleWrite, ParseOptions};

/// A demangled name can be exponentially longer than its mangled form.
const LONGEST_DEMANGLED: usize = 16 << 10;

/// A name from a file as it can be printed: what moves a terminal's cursor, changes its colours
/// or the direction of its text is written as Rust writes it in a string (`\u{1b}`).
pub fn printable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    // Marks and overrides of direction are no control characters to Rust.
    let direction = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hidden = |c: char| c.is_control() || direction(c);
    if !name.contains(hidden) {
        return name.into_owned();
    }
    let mut out = String::new();
    for c in name.chars() {
        match hidden(c) {
            // Writing to a string can't fail.
            true => drop(write!(out, "{}", c.escape_unicode())),
            false => out.push(c),
        }
    }
    out
}

/// A C++ name as libstdc++ and libc++ both have it: without their inline namespaces, and with
/// the short names that only one of them has in its mangling.
pub fn plain(name: &str) -> String {
    const SAME: [(&str, &str); 5] = [
        ("std::__1::", "std::"),
        ("std::__cxx11::", "std::"),
        (
            "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
            "std::string",
        ),
        (
            "std::basic_ostream<char, std::char_traits<char> >",
            "std::ostream",
        ),
        // A function's parameters after its template result.
        ("> (", ">("),
    ];
    let replace = |name: String, (long, short): (&str, &str)| name.replace(long, short);
    SAME.into_iter().fold(name.to_string(), replace)
}

/// The C++ name of a mangled symbol without parameters and result: `mlx::core::gather_qmm`;
/// what is not mangled (or not demangled within bounds) stays as it is.
pub fn qualified_name(raw: &str) -> String {
    demangled(raw, DemangleOptions::new().no_params().no_return_type())
}

/// The C++ name with its parameters.
pub fn signature(raw: &str) -> String {
    demangled(raw, DemangleOptions::new().no_return_type())
}

fn demangled(raw: &str, options: DemangleOptions) -> String {
    if !raw.starts_with("_Z") {
        return raw.to_string();
    }
    let parse = ParseOptions::default().recursion_limit(96);
    let options = options.recursion_limit(96);
    let mut bounded = Bounded(String::new());
    match cpp_demangle::Symbol::new_with_options(raw, &parse) {
        Ok(symbol) if symbol.structured_demangle(&mut bounded, &options).is_ok() => bounded.0,
        _ => raw.to_string(),
    }
}

struct Bounded(String);

impl DemangleWrite for Bounded {
    fn write_string(&mut self, part: &str) -> std::fmt::Result {
        if self.0.len() + part.len() > LONGEST_DEMANGLED {
            return Err(std::fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_command_the_terminal() {
        assert_eq!(printable("mlx::core::ä".as_bytes()), "mlx::core::ä");
        assert_eq!(printable(b"\x1b[2Jgone\r\n"), "\\u{1b}[2Jgone\\u{d}\\u{a}");
        assert_eq!(printable("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(printable("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(printable(b"\xff!"), "\u{fffd}!");
    }

    #[test]
    fn a_name_that_explodes_when_demangled_stays_mangled() {
        // Each template argument repeats the whole of what came before it.
        let mut bomb = String::from("_Z1fI");
        let mut level = String::from("1aIiiE");
        for seq in ["S_", "S0_", "S1_", "S2_", "S3_", "S4_", "S5_", "S6_", "S7_"] {
            level = format!("1aI{level}{seq}{seq}{seq}{seq}E");
        }
        bomb.push_str(&level);
        bomb.push_str("Evv");
        assert!(qualified_name(&bomb).len() <= LONGEST_DEMANGLED);
        assert_eq!(qualified_name("_ZN3mlx4core3oneEv"), "mlx::core::one");
        assert_eq!(qualified_name("_Zgarbage"), "_Zgarbage");
    }

    #[test]
    fn one_function_has_one_name_in_both_standard_libraries() {
        // operator<<(std::ostream&, mlx::core::array) by libstdc++ and by libc++.
        let names = [
            "_ZN3mlx4corelsERSoNS0_5arrayE",
            "_ZN3mlx4corelsERNSt3__113basic_ostreamIcNS1_11char_traitsIcEEEENS0_5arrayE",
        ];
        for raw in names {
            let name = plain(&signature(raw));
            assert_eq!(
                name,
                "mlx::core::operator<<(std::ostream&, mlx::core::array)"
            );
        }
    }
}
