//! MLX's block sort against Rust's.

use mlx_fork::emulator::{Kernel, Launch};

use super::{clean, numbers};

pub const ROWS: usize = 3;
pub const SIZE: usize = 117;

pub fn launch<'k>(kernel: &'k Kernel<'k>, x: &[f32]) -> Launch<'k> {
    Launch::new(kernel)
        .buffer(0, "inp", x)
        .output(1, "out", (ROWS * SIZE * 4) as u64)
        .value(2, "size_sorted_axis", SIZE as i32)
        .value(3, "in_stride_sorted_axis", 1i32)
        .value(4, "out_stride_sorted_axis", 1i32)
        .value(5, "in_stride_segment_axis", SIZE as i32)
        .value(6, "out_stride_segment_axis", SIZE as i32)
        .threadgroups([1, ROWS as u32, 1])
        .group([32, 1, 1])
}

#[test]
fn sort_gives_the_rows_in_order() {
    let x = numbers(7, ROWS * SIZE);
    let kernel = "c_block_sort_float32_float32_bn32_tn4";
    let report = clean("sort.metal", kernel, |kernel| launch(kernel, &x));
    let mut reference = x.clone();
    for row in reference.chunks_mut(SIZE) {
        row.sort_by(f32::total_cmp);
    }
    for run in &report.runs {
        assert_eq!(run.outcome.values::<f32>(1), reference);
    }
}

#[test]
fn argsort_gives_the_places_in_order() {
    let x = numbers(8, ROWS * SIZE);
    let kernel = "carg_block_sort_float32_uint32_bn32_tn4";
    let report = clean("sort.metal", kernel, |kernel| launch(kernel, &x));
    let mut reference: Vec<u32> = Vec::new();
    for row in x.chunks(SIZE) {
        let mut places: Vec<u32> = (0..SIZE as u32).collect();
        places.sort_by(|a, b| row[*a as usize].total_cmp(&row[*b as usize]));
        reference.extend(places);
    }
    for run in &report.runs {
        assert_eq!(run.outcome.values::<u32>(1), reference);
    }
}
