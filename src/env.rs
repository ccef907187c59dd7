//! Every environment variable that mlx-fork reads, in one place.

use std::ffi::OsString;

/// One variable: its name and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name, as in the environment.
    pub name: &'static str,
    /// What it does, for the documentation.
    pub help: &'static str,
}

impl Variable {
    /// The value, if the variable is set and not empty.
    pub fn get(&self) -> Option<String> {
        self.get_os()?.into_string().ok()
    }

    /// The value as the system has it, if set and not empty.
    pub fn get_os(&self) -> Option<OsString> {
        std::env::var_os(self.name).filter(|value| !value.is_empty())
    }
}

/// A tag, branch or commit of MLX to use instead of the pin.
pub const MLX_REF: Variable = Variable {
    name: "MLX_REF",
    help: "tag, branch or commit of MLX to use instead of the pin of fork.toml",
};

/// Where MLX's git repository is.
pub const MLX_REPO_URL: Variable = Variable {
    name: "MLX_REPO_URL",
    help: "git URL of MLX, instead of the one of fork.toml",
};

/// The project's folder, where the current folder is not inside it.
pub const MLX_FORK_ROOT: Variable = Variable {
    name: "MLX_FORK_ROOT",
    help: "the project's folder, when commands run outside it",
};

/// Where builds, stamps and logs go.
pub const MLX_FORK_TARGET: Variable = Variable {
    name: "MLX_FORK_TARGET",
    help: "folder for builds, stamps and logs, instead of target/mlx",
};

/// No colours on any stream.
pub const NO_COLOR: Variable = Variable {
    name: "NO_COLOR",
    help: "no colours (https://no-color.org)",
};

/// The C compiler.
pub const CC: Variable = Variable {
    name: "CC",
    help: "the C compiler, instead of cc, gcc or clang on PATH",
};

/// The C++ compiler.
pub const CXX: Variable = Variable {
    name: "CXX",
    help: "the C++ compiler, instead of c++, g++ or clang++ on PATH",
};

/// Where libclang is.
pub const LIBCLANG_PATH: Variable = Variable {
    name: "LIBCLANG_PATH",
    help: "libclang, or the folder that holds it, instead of the system's or PyPI's",
};

/// Where programs are looked for.
pub const PATH: Variable = Variable {
    name: "PATH",
    help: "where tools are looked for",
};

/// What an emulated MLX asks for kernels.
pub const MLX_FORK_EMULATOR: Variable = Variable {
    name: "MLX_FORK_EMULATOR",
    help: "the program that compiles kernels for an emulated MLX (set by python --emulated)",
};

/// How an emulated MLX runs kernels.
pub const MLX_FORK_EMULATOR_MODE: Variable = Variable {
    name: "MLX_FORK_EMULATOR_MODE",
    help: "checked or plain: how an emulated MLX runs kernels (set by python --emulated)",
};

/// What is random in an emulated MLX.
pub const MLX_FORK_EMULATOR_SEED: Variable = Variable {
    name: "MLX_FORK_EMULATOR_SEED",
    help: "seed of the orders of threads, launches and SIMD reductions in an emulated MLX [1]",
};

/// Faults that an emulated MLX goes on with.
pub const MLX_FORK_EMULATOR_TOLERATE: Variable = Variable {
    name: "MLX_FORK_EMULATOR_TOLERATE",
    help: "kinds of faults that an emulated MLX prints and goes on with: uninitialised,race",
};

/// How long launches of an emulated MLX may take.
pub const MLX_FORK_EMULATOR_SECONDS: Variable = Variable {
    name: "MLX_FORK_EMULATOR_SECONDS",
    help: "how long a launch of an emulated MLX may take, or a queue wait for an event [600]",
};

/// All of them, for `--help` and docs/.
pub const ALL: &[Variable] = &[
    MLX_REF,
    MLX_REPO_URL,
    MLX_FORK_ROOT,
    MLX_FORK_TARGET,
    NO_COLOR,
    CC,
    CXX,
    LIBCLANG_PATH,
    PATH,
    MLX_FORK_EMULATOR,
    MLX_FORK_EMULATOR_MODE,
    MLX_FORK_EMULATOR_SEED,
    MLX_FORK_EMULATOR_TOLERATE,
    MLX_FORK_EMULATOR_SECONDS,
];
