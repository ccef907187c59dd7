//! What a run came to, in tables for people.

use comfy_table::{Table, presets};
use mlx_fork::emulator::Report;

pub fn print_report(report: &Report) {
    for fault in &report.faults {
        println!("{fault}");
    }
    let more = report
        .faults_in_all
        .saturating_sub(report.faults.len() as u64);
    if more > 0 {
        println!("… and {more} more at the same places");
    }
    print_counts(report);
    if !report.loads.is_empty() {
        print_loads(report);
    }
}

pub fn print_counts(report: &Report) {
    let counts = &report.counts;
    println!(
        "{}: {} threads in {} threadgroups, {:.1} ms",
        report.kernel,
        report.threads,
        report.threadgroups,
        report.seconds * 1e3
    );
    if !report.checked {
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "buffer",
        "name",
        "bytes",
        "read",
        "distinct",
        "ratio",
        "written",
        "distinct",
        "unwritten",
    ]);
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = |all: u64, distinct: u64| match distinct {
        0 => String::new(),
        _ => format!("{:.2}", all as f64 / distinct as f64),
    };
    let constant = |index: u32| report.is_constant(index);
    for buffer in counts.buffers.iter().filter(|b| !constant(b.index)) {
        table.add_row([
            buffer.index.to_string(),
            buffer.name.clone(),
            buffer.size.to_string(),
            buffer.read.to_string(),
            buffer.distinct_read.to_string(),
            ratio(buffer.read, buffer.distinct_read),
            buffer.written.to_string(),
            buffer.distinct_written.to_string(),
            match buffer.unwritten {
                0 => String::new(),
                n => n.to_string(),
            },
        ]);
    }
    println!("{table}");
    let all = report.read_ratio().map_or(String::new(), |ratio| {
        format!(", {ratio:.2} × the fewest possible")
    });
    let constants = counts.buffers.iter().filter(|b| constant(b.index));
    let constants: u64 = constants.map(|buffer| buffer.read).sum();
    println!(
        "device: {} bytes read{all}, {} written; constants: {constants} bytes read",
        counts.device_read.saturating_sub(constants),
        counts.device_written
    );
    println!(
        "threadgroup: {} bytes read, {} written; {} barriers, {} SIMD operations, {} flops",
        counts.threadgroup_read,
        counts.threadgroup_written,
        counts.barriers,
        counts.simd_operations,
        counts.flops.map_or("unknown".into(), |n| n.to_string())
    );
}

fn print_loads(report: &Report) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "place",
        "buffer",
        "",
        "accesses of a SIMD group",
        "bytes a thread",
        "bytes a group",
        "lines of 128 bytes",
    ]);
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean = |sum: u64, of: u64| format!("{:.1}", sum as f64 / of.max(1) as f64);
    let device = |name: &str| {
        let mut buffers = report.counts.buffers.iter();
        buffers.any(|buffer| buffer.name == name && !report.is_constant(buffer.index))
    };
    for load in report.loads.iter().filter(|load| device(&load.buffer)) {
        let place = load.frames.first().map_or(String::new(), |frame| {
            let name = frame.file.rsplit('/').next().unwrap_or(&frame.file);
            format!("{name}:{}", frame.line)
        });
        table.add_row([
            place,
            load.buffer.clone(),
            if load.write { "write" } else { "read" }.into(),
            load.accesses.to_string(),
            mean(load.thread_bytes, load.threads),
            mean(load.distinct_bytes, load.accesses),
            mean(load.lines_128, load.accesses),
        ]);
    }
    println!("{table}");
}
