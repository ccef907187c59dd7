//! The host's part without a Metal device: what `backend/metal/launch.cpp` decides, asked of the
//! very file through a small program, and our sources at the places that the series gives them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use mlx_fork::build::files::hex;
use mlx_fork::layout::Layout;
use sha2::{Digest, Sha256};

/// A launch, as the host would encode it.
#[derive(Debug, Clone)]
pub struct Encoded {
    pub fast: bool,
    pub kernel: String,
    /// Index, value, and whether it is a bool.
    pub constants: Vec<(u64, i32, bool)>,
    pub grid: [u32; 3],
    pub threads: u32,
    /// The buffer index of each input of the primitive.
    pub inputs: Vec<u32>,
    pub out: u32,
    pub params: (u32, Vec<u8>),
    pub dims: (u32, Vec<u8>),
}

struct Asker {
    _child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// The project that these tests belong to.
pub fn layout() -> Layout {
    Layout::discover().unwrap()
}

/// A folder that has our files where they are in MLX's tree. Its name is the same each time, as
/// the emulator keeps kernels by the names of their files; it takes its place whole, and other
/// processes may use it.
pub fn overlay() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let layout = layout();
        let text = std::fs::read_to_string(layout.patches().join("series.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let features = manifest["feature"].as_array().unwrap().iter();
        let pairs = features.flat_map(|feature| feature["overlay"].as_array().unwrap());
        let links: Vec<(PathBuf, &str)> = pairs
            .map(|pair| {
                let [source, place] = [0, 1].map(|i| pair[i].as_str().unwrap());
                (layout.root().join(source), place)
            })
            .collect();
        let key = Sha256::digest(format!("{links:?}"));
        let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = all.join(format!("metal-overlay-{}", hex(&key[..8])));
        if !folder.is_dir() {
            let new = tempfile::tempdir_in(all).unwrap();
            for (source, place) in links {
                let place = new.path().join(place);
                std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(source, place).unwrap();
            }
            // Another process may have been first: then this one is removed.
            if std::fs::rename(new.path(), &folder).is_ok() {
                let _ = new.keep();
            }
            assert!(folder.is_dir());
        }
        folder
    })
}

/// Compiles the program that asks the host's part.
fn compile(program: &Path) {
    let root = layout().root().join("mlx_primitives");
    let sources = ["tests/metal/launches.cpp", "backend/metal/launch.cpp"];
    let done = Command::new("c++")
        .args(["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(overlay())
        .args(sources.map(|source| root.join(source)))
        .arg("-o")
        .arg(program)
        .status()
        .unwrap();
    assert!(done.success(), "the launch program does not compile");
}

/// What the host makes of a request; none where stock's operations do it.
pub fn ask(request: &str) -> Option<Encoded> {
    static ASKER: OnceLock<Mutex<Asker>> = OnceLock::new();
    let asker = ASKER.get_or_init(|| {
        // A program that runs needs its file no more.
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("launches");
        compile(&program);
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Mutex::new(Asker {
            _child: child,
            to,
            from,
        })
    });
    let mut line = String::new();
    {
        let mut asker = asker.lock().unwrap();
        writeln!(asker.to, "{request}").unwrap();
        asker.from.read_line(&mut line).unwrap();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    if words == ["composition"] {
        return None;
    }
    let [
        path,
        kernel,
        constants,
        grid,
        threads,
        inputs,
        out,
        params,
        dims,
        params_hex,
        dims_hex,
    ] = words[..]
    else {
        panic!("no answer to {request}: {line:?}");
    };
    let numbers =
        |text: &str| -> Vec<u32> { text.split(',').map(|n| n.parse().unwrap()).collect() };
    Some(Encoded {
        fast: path == "fast",
        kernel: kernel.into(),
        constants: constants.split(',').map(constant).collect(),
        grid: numbers(grid).try_into().unwrap(),
        threads: threads.parse().unwrap(),
        inputs: numbers(inputs),
        out: out.parse().unwrap(),
        params: (params.parse().unwrap(), unhex(params_hex)),
        dims: (dims.parse().unwrap(), unhex(dims_hex)),
    })
}

fn constant(word: &str) -> (u64, i32, bool) {
    let (index, value) = word.split_once('=').unwrap();
    let number = value.trim_end_matches('b');
    (
        index.parse().unwrap(),
        number.parse().unwrap(),
        value.ends_with('b'),
    )
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}
