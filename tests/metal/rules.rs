//! What the host decides, without running anything: which path, how many threadgroups. The
//! figures are those of docs/metal-kernels.md.

use mlx_fork::device::Device;
use mlx_fork::parity::case::Wanted;
use mlx_fork::parity::ops::{MODELS, catalogue};
use rayon::prelude::*;

use crate::host::{Encoded, ask};
use crate::primitive::{evaluation, own_storage};

/// A contiguous array of this shape.
fn rows(shape: &[usize]) -> String {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let list = |values: &[usize]| {
        let words: Vec<String> = values.iter().map(usize::to_string).collect();
        words.join(",")
    };
    format!("{}:{}", list(shape), list(&strides))
}

/// A batch of affine matrices of 4 bits in groups of 64.
fn matrix(experts: usize, n: usize, k: usize) -> String {
    let scales = rows(&[experts, n, k / 64]);
    format!("{} {scales} {scales}", rows(&[experts, n, k / 8]))
}

/// Tokens of `m` rows each, one for each index.
fn swiglu(x: &[usize], experts: usize, (n, k): (usize, usize), pairs: &[usize]) -> Option<Encoded> {
    let sorted = u8::from(x[0] > 1);
    let matrix = matrix(experts, n, k);
    ask(&format!(
        "swiglu bfloat16_t affine 64 4 1 0 {sorted} {} {matrix} {matrix} -:{} 2:{}",
        rows(x),
        x[0],
        rows(pairs)
    ))
}

fn combine(experts: usize, active: usize, (n, k): (usize, usize)) -> Encoded {
    let request = format!(
        "combine bfloat16_t affine 64 4 1 2 0 0 {} {} 2:{} {}",
        rows(&[1, active, k]),
        matrix(experts, n, k),
        rows(&[1, active]),
        rows(&[1, active])
    );
    ask(&request).unwrap()
}

#[test]
fn a_token_launches_as_many_threadgroups_as_the_documentation_says() {
    // Experts, active, hidden, expert's width; threadgroups and threads of both.
    let models = [
        (128, 8, 2048, 768, 768, 512, 256),
        (64, 4, 2048, 1536, 768, 512, 128),
        (32, 4, 2048, 1792, 896, 512, 128),
        (32, 4, 2880, 2880, 1440, 720, 128),
        (256, 8, 7168, 2048, 2048, 1792, 256),
        (8, 2, 4096, 14336, 3584, 1024, 64),
    ];
    for (experts, active, hidden, width, up, down, threads) in models {
        let encoded = swiglu(&[1, 1, hidden], experts, (width, hidden), &[active]).unwrap();
        assert!(encoded.fast);
        assert_eq!(encoded.grid.iter().product::<u32>(), up);
        assert_eq!(encoded.threads, 64);
        let encoded = combine(experts, active, (hidden, width));
        assert!(encoded.fast);
        assert_eq!(encoded.grid.iter().product::<u32>(), down);
        assert_eq!(encoded.threads, threads);
    }
}

#[test]
fn what_stock_has_tiles_for_is_left_to_it() {
    let with_rows = |m: usize| swiglu(&[1, m, 128], 4, (64, 128), &[2]);
    assert!(with_rows(11).is_some());
    assert!(with_rows(12).is_none());
    // Pairs sorted by matrix: 16 of them, and 4 a matrix.
    let sorted = |pairs: usize, experts| swiglu(&[pairs, 1, 128], experts, (64, 128), &[pairs]);
    assert!(sorted(15, 2).is_some());
    assert!(sorted(16, 4).is_none());
    assert!(sorted(16, 5).is_some());
}

#[test]
fn parity_demands_of_every_case_the_path_that_the_host_takes() {
    let of_models = |name: &str| MODELS.iter().any(|model| name.contains(model.name));
    let cases = catalogue();
    // The sizes of models are large, and nothing is decided by them but by their rows.
    let cases = cases.par_iter().filter(|case| !of_models(case.name()));
    let paths: Vec<Wanted> = cases
        .map(|case| {
            let inputs = case.inputs(1);
            let expected = case.expected(&inputs);
            let form = (expected.float, &expected.shape[..]);
            let storage = own_storage(&case.call());
            let path = match evaluation(case.as_ref(), &inputs, form, &storage) {
                Some(evaluation) if evaluation.encoded.fast => Wanted::Fast,
                Some(_) => Wanted::General,
                None => Wanted::Composition,
            };
            let wanted = case.wanted(Device::Gpu);
            let nothing = wanted == Wanted::Any && path == Wanted::Composition;
            assert!(nothing || wanted == path, "{}: {path}", case.name());
            wanted
        })
        .collect();
    for wanted in [
        Wanted::Fast,
        Wanted::General,
        Wanted::Composition,
        Wanted::Any,
    ] {
        assert!(
            paths.iter().filter(|path| **path == wanted).count() > 10,
            "{wanted}"
        );
    }
}
