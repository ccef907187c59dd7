//! `mlx-fork-sys` on the real builds: needs those that `cargo xtask setup-mlx` makes.

use std::path::PathBuf;
use std::process::Command;

use mlx_fork::layout::Layout;
use mlx_fork_sys::bindings::FUNCTIONS;
use mlx_fork_sys::{Array, Device, Dtype, Error, Library, Matrix, Path, Quantization};

const FUSED: [&str; 2] = ["gather_qmm_swiglu", "gather_qmm_downproj_combine"];

fn library(side: &str) -> PathBuf {
    let layout = Layout::discover().unwrap();
    let path = layout.prefix(side).join("lib").join(Library::file_name());
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask setup-mlx` first (`cargo xtask test` does)",
        path.display()
    );
    path
}

/// The fork's library; a process can have only one, and this is the one of this process.
fn fork() -> Library {
    Library::open(library("fork")).unwrap()
}

fn f32s(lib: &Library, shape: &[i32], values: &[f32]) -> Array {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    Array::from_bytes(lib, Dtype::Float32, shape, &bytes).unwrap()
}

fn u32s(lib: &Library, shape: &[i32], values: &[u32]) -> Array {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    Array::from_bytes(lib, Dtype::Uint32, shape, &bytes).unwrap()
}

fn values(array: &Array) -> Vec<f32> {
    assert_eq!(array.dtype().unwrap(), Dtype::Float32);
    let bytes = array.to_bytes().unwrap();
    let (words, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    words.iter().map(|word| f32::from_ne_bytes(*word)).collect()
}

const AFFINE: Quantization<'static> = Quantization {
    transpose: true,
    group_size: Some(32),
    bits: Some(4),
    mode: "affine",
};

/// Experts (2, 1, 32): all weights are 1 in the first, 2 in the second.
struct Experts {
    w: Array,
    scales: Array,
    biases: Array,
}

impl Experts {
    fn new(lib: &Library) -> Self {
        Experts {
            w: u32s(
                lib,
                &[2, 1, 4],
                &[[0x1111_1111; 4], [0x2222_2222; 4]].concat(),
            ),
            scales: f32s(lib, &[2, 1, 1], &[1.0, 1.0]),
            biases: f32s(lib, &[2, 1, 1], &[0.0, 0.0]),
        }
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix {
            w: &self.w,
            scales: &self.scales,
            biases: Some(&self.biases),
        }
    }
}

#[test]
fn bytes_come_back_as_they_went_in_for_every_type() {
    let lib = fork();
    for dtype in Dtype::all() {
        let bytes: Vec<u8> = (0..6 * dtype.size()).map(|i| (i % 2) as u8).collect();
        let array = Array::from_bytes(&lib, dtype, &[2, 3], &bytes).unwrap();
        assert_eq!(array.dtype().unwrap(), dtype);
        assert_eq!(array.shape().unwrap(), [2, 3]);
        assert_eq!(array.to_bytes().unwrap(), bytes, "{dtype}");
    }
}

#[test]
fn a_scalar_and_an_empty_array_have_their_shapes() {
    let lib = fork();
    let scalar = f32s(&lib, &[], &[7.0]);
    assert_eq!(
        (scalar.shape().unwrap(), values(&scalar)),
        (vec![], vec![7.0])
    );
    let empty = f32s(&lib, &[0, 4], &[]);
    assert_eq!(empty.shape().unwrap(), [0, 4]);
    assert_eq!(empty.exp().unwrap().to_bytes().unwrap(), [0u8; 0]);
}

#[test]
fn arrays_that_are_views_come_out_row_major() {
    let lib = fork();
    let a = f32s(&lib, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let transposed = a.transpose(&[1, 0]).unwrap();
    assert_eq!(values(&transposed), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let row = f32s(&lib, &[1, 2], &[8.0, 9.0]);
    assert_eq!(
        values(&row.broadcast_to(&[2, 2]).unwrap()),
        [8.0, 9.0, 8.0, 9.0]
    );
}

#[test]
fn each_operation_of_mlx_computes_what_its_name_says() {
    let lib = fork();
    let a = f32s(&lib, &[2], &[-2.0, 4.0]);
    let b = f32s(&lib, &[2], &[2.0, 0.5]);
    // MLX's power of a negative base is NaN: it is exp and log inside.
    let positive = f32s(&lib, &[2], &[3.0, 4.0]);
    let is = |name: &str, array: mlx_fork_sys::Result<Array>, wanted: [f32; 2]| {
        let found = values(&array.unwrap());
        assert_eq!(found.len(), 2, "{name}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                (found - wanted).abs() < 1e-4,
                "{name}: {found}, not {wanted}"
            );
        }
    };
    is("abs", a.abs(), [2.0, 4.0]);
    is("exp", a.exp(), [(-2f32).exp(), 4f32.exp()]);
    is("negative", a.negative(), [2.0, -4.0]);
    is("sigmoid", a.sigmoid(), [0.119_202_92, 0.982_013_8]);
    is("tanh", a.tanh(), [(-2f32).tanh(), 4f32.tanh()]);
    is("add", a.add(&b), [0.0, 4.5]);
    is("subtract", a.subtract(&b), [-4.0, 3.5]);
    is("multiply", a.multiply(&b), [-4.0, 2.0]);
    is("divide", a.divide(&b), [-1.0, 8.0]);
    is("power", positive.power(&b), [9.0, 2.0]);
    is("take", a.take(&u32s(&lib, &[2], &[1, 0]), 0), [4.0, -2.0]);
    assert_eq!(values(&a.sum(0, true).unwrap()), [2.0]);
    let cube = a.expand_dims(0).unwrap().reshape(&[2, -1, 1]).unwrap();
    assert_eq!(cube.shape().unwrap(), [2, 1, 1]);
    assert_eq!(cube.squeeze(-1).unwrap().shape().unwrap(), [2, 1]);
    let rounded = a.astype(Dtype::Bfloat16).unwrap().to_bytes().unwrap();
    let wanted = [0xc000u16.to_ne_bytes(), 0x4080u16.to_ne_bytes()].concat();
    assert_eq!(rounded, wanted);
}

#[test]
fn quantized_products_are_those_of_the_weights() {
    let lib = fork();
    let experts = Experts::new(&lib);
    let x = f32s(&lib, &[1, 32], &[1.0; 32]);
    let first = experts.w.take(&u32s(&lib, &[], &[0]), 0).unwrap();
    let scales = f32s(&lib, &[1, 1], &[1.0]);
    let biases = f32s(&lib, &[1, 1], &[0.5]);
    let matrix = Matrix {
        w: &first,
        scales: &scales,
        biases: Some(&biases),
    };
    let y = lib.quantized_matmul(&x, matrix, AFFINE).unwrap();
    assert_eq!(values(&y), [48.0]);
    let chosen = u32s(&lib, &[2], &[1, 0]);
    let y = lib
        .gather_qmm(&x, experts.matrix(), None, Some(&chosen), AFFINE, false)
        .unwrap();
    assert_eq!(y.shape().unwrap(), [2, 1, 1]);
    assert_eq!(values(&y), [64.0, 32.0]);
}

#[test]
fn the_fused_primitives_compute_and_tell_their_path() {
    let lib = fork();
    let experts = Experts::new(&lib);
    let x = f32s(&lib, &[1, 32], &[0.125; 32]);
    let chosen = u32s(&lib, &[2], &[1, 0]);
    let (gate, up) = (experts.matrix(), experts.matrix());
    let y = lib
        .gather_qmm_swiglu(&x, gate, up, None, Some(&chosen), AFFINE, "silu", false)
        .unwrap();
    assert_eq!(y.shape().unwrap(), [2, 1, 1]);
    for (found, p) in values(&y).iter().zip([8.0f32, 4.0]) {
        let wanted = p * p / (1.0 + (-p).exp());
        assert!((found - wanted).abs() < 1e-4, "{found}, not {wanted}");
    }
    assert_ne!(lib.last_path(FUSED[0]).unwrap(), Path::None);

    let h = f32s(&lib, &[2, 32], &[1.0; 64]);
    let weights = f32s(&lib, &[2], &[0.25, 0.5]);
    let z = lib
        .gather_qmm_downproj_combine(&h, experts.matrix(), &chosen, &weights, AFFINE, "exact")
        .unwrap();
    assert_eq!((z.shape().unwrap(), values(&z)), (vec![1], vec![32.0]));
    assert_ne!(lib.last_path(FUSED[1]).unwrap(), Path::None);
}

#[test]
fn wrong_use_is_an_error_with_mlxs_words_and_no_crash() {
    let lib = fork();
    let a = f32s(&lib, &[2], &[1.0, 2.0]);
    let b = f32s(&lib, &[3], &[1.0, 2.0, 3.0]);
    let text = |error: Error| error.to_string();
    assert!(text(a.add(&b).unwrap_err()).contains("broadcast"));
    let short = Array::from_bytes(&lib, Dtype::Float32, &[2], &[0; 4]).unwrap_err();
    assert!(text(short).contains("4 bytes, the array has 8"));
    let negative = Array::from_bytes(&lib, Dtype::Uint8, &[-1, 0], &[]).unwrap_err();
    assert!(text(negative).contains("dimension -1"));
    let huge = Array::from_bytes(&lib, Dtype::Uint8, &[i32::MAX; 4], &[]).unwrap_err();
    assert!(text(huge).contains("too many"));
    let experts = Experts::new(&lib);
    let mode = Quantization {
        mode: "mxfp5",
        ..AFFINE
    };
    let x = f32s(&lib, &[1, 32], &[1.0; 32]);
    let (gate, up) = (experts.matrix(), experts.matrix());
    let error = lib
        .gather_qmm_swiglu(&x, gate, up, None, None, mode, "silu", false)
        .unwrap_err();
    assert!(text(error).contains("[gather_qmm_swiglu]"));
}

#[test]
fn the_library_says_what_it_is() {
    let lib = fork();
    assert_eq!(lib.id().len(), 40, "{}", lib.id());
    assert!(lib.mlx_version().starts_with("0."), "{}", lib.mlx_version());
    for name in FUNCTIONS {
        assert!(lib.has(name), "{name}");
    }
    assert!(!lib.has("mlx_fork_no_such_function"));
    assert_eq!(lib.default_device().unwrap(), Device::Cpu);
    assert_eq!(lib.device_count(Device::Cpu).unwrap(), 1);
    assert!(!lib.device_info(Device::Cpu).unwrap().is_empty());
    if lib.device_count(Device::Gpu).unwrap() == 0 {
        let error = lib.set_default_device(Device::Gpu).unwrap_err();
        assert!(error.to_string().contains("no GPU"), "{error}");
    }
}

#[test]
fn the_wrong_id_is_refused() {
    let id = "ffffffffffffffffffffffffffffffffffffffff";
    let error = Library::open_expecting(library("fork"), id).unwrap_err();
    assert!(matches!(error, Error::WrongId { .. }), "{error}");
    let lib = Library::open_expecting(library("fork"), &fork().id()).unwrap();
    assert_eq!(lib.id(), fork().id());
}

/// Runs one of the tests below, which are ignored otherwise, in a process of its own.
fn alone(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn stock_mlx_lacks_our_functions_and_says_which() {
    alone("in_a_process_of_its_own::stock");
}

#[test]
fn a_second_prefix_in_one_process_is_refused() {
    alone("in_a_process_of_its_own::stock_then_fork");
    alone("in_a_process_of_its_own::fork_then_stock");
}

mod in_a_process_of_its_own {
    use super::*;

    #[test]
    #[ignore = "a process can load one libmlx: run by the tests above"]
    fn stock() {
        let lib = Library::open(library("stock")).unwrap();
        let experts = Experts::new(&lib);
        let x = f32s(&lib, &[1, 32], &[1.0; 32]);
        let (gate, up) = (experts.matrix(), experts.matrix());
        let error = lib
            .gather_qmm_swiglu(&x, gate, up, None, None, AFFINE, "silu", false)
            .unwrap_err();
        let symbol = "mlx_fork_gather_qmm_swiglu";
        assert_eq!(error, Error::Unavailable { symbol });
        let path = lib.last_path(FUSED[0]);
        assert!(matches!(path, Err(Error::Unavailable { .. })));
        for op in FUSED {
            assert!(!lib.has(&format!("mlx_fork_{op}")), "{op}");
        }
        assert!(lib.has("mlx_fork_gather_qmm"));
    }

    #[test]
    #[ignore = "a process can load one libmlx: run by the tests above"]
    fn stock_then_fork() {
        Library::open(library("stock")).unwrap();
        let error = Library::open(library("fork")).unwrap_err();
        assert!(matches!(error, Error::Load { .. }), "{error}");
    }

    #[test]
    #[ignore = "a process can load one libmlx: run by the tests above"]
    fn fork_then_stock() {
        let fork = fork();
        let error = Library::open(library("stock")).unwrap_err();
        assert!(error.to_string().contains(&fork.id()), "{error}");
    }
}
