//! The environment variables that cmake and compilers read: those that a build is keyed by,
//! and those that it must not see.

use std::ffi::OsString;

use crate::process::Command;

use super::stamp::Inputs;

/// They say what is compiled and how; a person may have set them for a reason.
const KEYED: &[&str] = &[
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "PKG_CONFIG_PATH",
    "CMAKE_PREFIX_PATH",
    "CMAKE_INCLUDE_PATH",
    "CMAKE_LIBRARY_PATH",
    "CMAKE_TOOLCHAIN_FILE",
    "SDKROOT",
    "DEVELOPER_DIR",
    "MACOSX_DEPLOYMENT_TARGET",
];

/// They would send files elsewhere, or change what is printed and read here.
const REMOVED: &[&str] = &[
    "DESTDIR",
    "CMAKE_INSTALL_MODE",
    "CMAKE_GENERATOR",
    "CMAKE_BUILD_TYPE",
    "CMAKE_BUILD_PARALLEL_LEVEL",
    "CMAKE_C_COMPILER_LAUNCHER",
    "CMAKE_CXX_COMPILER_LAUNCHER",
    "CLICOLOR_FORCE",
    "CMAKE_COLOR_DIAGNOSTICS",
    "GCC_COLORS",
    "VERBOSE",
    "PYTHONHOME",
    "PYTHONPATH",
];

/// A key of the variables that change what is compiled.
pub fn environment_key() -> String {
    let set = KEYED.iter().filter_map(|name| {
        let value = std::env::var_os(name)?;
        Some((name, value.to_string_lossy().into_owned()))
    });
    set.fold(Inputs::default(), |inputs, (name, value)| {
        inputs.with(name, value)
    })
    .key()
}

/// Variables that a build gets beside those of this process.
pub type Variables = Vec<(&'static str, OsString)>;

/// As [`clean_environment`], with these set.
pub fn with_variables(command: Command, variables: &Variables) -> Command {
    let clean = clean_environment(command);
    let set = variables.iter();
    set.fold(clean, |command, (name, value)| command.env(name, value))
}

/// The command without variables that would lead it astray, and speaking English.
pub fn clean_environment(command: Command) -> Command {
    REMOVED
        .iter()
        .fold(command, |command, name| command.env_remove(name))
        .env("LC_ALL", "C")
}
