//! Feature `link`: builds libmlx_fork_c against the MLX at MLX_FORK_PREFIX and links it.
//! Without the feature it does nothing: the library is then loaded at run time.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "link")]
    link();
}

#[cfg(feature = "link")]
fn link() {
    use std::path::Path;

    println!("cargo::rerun-if-env-changed=MLX_FORK_PREFIX");
    let Some(prefix) = std::env::var_os("MLX_FORK_PREFIX") else {
        println!(
            "cargo::error=the feature `link` needs MLX_FORK_PREFIX: the install folder of a fork \
             (`cargo xtask setup-mlx` makes target/mlx/fork)"
        );
        return;
    };
    let prefix = Path::new(&prefix);
    let id_file = prefix.join("share/mlx_fork/id");
    let id = match std::fs::read_to_string(&id_file) {
        Ok(id) => id.trim().to_string(),
        Err(e) => {
            println!(
                "cargo::error=MLX_FORK_PREFIX={} is no prefix made by `cargo xtask setup-mlx`: {}: {e}",
                prefix.display(),
                id_file.display()
            );
            return;
        }
    };
    println!("cargo::rerun-if-changed={}", id_file.display());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlx_primitives/c");
    println!("cargo::rerun-if-changed={}", source.display());
    let built = cmake::Config::new(&source)
        .profile("Release")
        .define("CMAKE_PREFIX_PATH", prefix)
        .define("MLX_FORK_ID", id)
        .build();
    println!("cargo::rustc-link-search=native={}/lib", built.display());
    println!("cargo::rustc-link-lib=dylib=mlx_fork_c");
    // For this package's own tests; a crate that builds upon it passes DEP_MLX_FORK_C_LIB
    // on in its own build script, as cargo hands link arguments to no other package.
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}/lib", built.display());
    println!("cargo::metadata=lib={}/lib", built.display());
    println!("cargo::metadata=include={}/include", built.display());
}
