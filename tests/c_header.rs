//! mlx_fork.h for C compilers: needs a C and a C++ compiler, no MLX.

use std::path::Path;
use std::process::Command;

/// Compiles a text that includes the header, with every warning an error.
fn compiles(compiler: &str, language: &[&str], text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::write(&source, text).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("mlx_primitives/c");
    let output = Command::new(compiler)
        .args(language)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"])
        .arg("-I")
        .arg(include)
        .arg(source)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const USE: &str = r#"
int use(mlx_array a, mlx_stream s) {
  mlx_array result = {NULL};
  int code = mlx_fork_add(&result, a, a);
  code += mlx_fork_gather_qmm_downproj_combine(
      &result, a, a, a, result, a, a, true, 0, 0, "affine", "exact", s);
  return code + mlx_fork_array_free(result);
}
"#;

#[test]
fn the_header_is_c99_and_cxx() {
    let text = format!("#include \"mlx_fork.h\"\nint use(mlx_array a, mlx_stream s);\n{USE}");
    compiles("cc", &["-x", "c", "-std=c99"], &text);
    compiles("cc", &["-x", "c", "-std=c11"], &text);
    compiles("c++", &["-x", "c++", "-std=c++17"], &text);
}

#[test]
fn it_takes_the_handles_of_mlx_c_when_those_headers_come_first() {
    // mlx-c's guards and handles: another definition of the same structs would be an error.
    let text = format!(
        "#define MLX_ARRAY_H\n#define MLX_STREAM_H\n\
         typedef struct mlx_array_ {{ void* ctx; }} mlx_array;\n\
         typedef struct mlx_stream_ {{ void* ctx; }} mlx_stream;\n\
         #include \"mlx_fork.h\"\nint use(mlx_array a, mlx_stream s);\n{USE}"
    );
    compiles("cc", &["-x", "c", "-std=c99"], &text);
    compiles("c++", &["-x", "c++", "-std=c++17"], &text);
}
