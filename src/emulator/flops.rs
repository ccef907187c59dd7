//! Floating-point operations that a checked kernel did: how often each block of instructions ran
//! (the driver's report) times what is in the block (the disassembly of its library). Counts
//! additions, subtractions, multiplications, divisions and square roots, each for each lane of a
//! vector, and a fused multiply-add as two; not those inside of exp and its like.

use std::collections::BTreeMap;

/// The call that begins each block.
const BLOCK: &str = "__sanitizer_cov_trace_pc";

/// The operations of each block, by the address after the call at its start; from what
/// `objdump -d --no-show-raw-insn` prints of the library.
pub fn blocks(disassembly: &str) -> BTreeMap<u64, u64> {
    let mut blocks = BTreeMap::new();
    let mut block = None;
    let mut begins = false;
    for line in disassembly.lines() {
        let Some((address, instruction)) = split(line) else {
            if line.ends_with(">:") {
                block = None;
            }
            continue;
        };
        if begins {
            block = Some(address);
            blocks.entry(address).or_insert(0);
            begins = false;
        }
        if instruction.contains(BLOCK) {
            begins = true;
        } else if let Some(count) = block.and_then(|at| blocks.get_mut(&at)) {
            *count += operations(instruction);
        }
    }
    blocks
}

/// The operations of a whole run: `runs` tells how often each block ran.
pub fn count(blocks: &BTreeMap<u64, u64>, runs: &[(u64, u64)]) -> u64 {
    let of = |(block, times): &(u64, u64)| blocks.get(block).map_or(0, |n| n * times);
    runs.iter().map(of).sum()
}

/// `  11c8:<tab>addss  %xmm1,%xmm0` as its address and instruction.
fn split(line: &str) -> Option<(u64, &str)> {
    let (address, instruction) = line.split_once(':')?;
    let address = u64::from_str_radix(address.trim(), 16).ok()?;
    Some((address, instruction.trim()))
}

fn operations(instruction: &str) -> u64 {
    let (name, operands) = instruction
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((instruction, ""));
    x86(name, operands)
        .or_else(|| arm(name, operands))
        .unwrap_or(0)
}

/// `addss`, `vmulps`, `vfmadd231ss` and so on.
fn x86(name: &str, operands: &str) -> Option<u64> {
    let name = name.strip_prefix('v').unwrap_or(name);
    let each = match name {
        _ if name.starts_with("fmaddsub") || name.starts_with("fmsubadd") => 2,
        _ if ["fmadd", "fmsub", "fnmadd", "fnmsub"]
            .iter()
            .any(|n| name.starts_with(n)) =>
        {
            2
        }
        _ if ["add", "sub", "mul", "div", "sqrt"]
            .iter()
            .any(|n| name.starts_with(n)) =>
        {
            1
        }
        _ => return None,
    };
    let wide = if operands.contains("%zmm") {
        64
    } else if operands.contains("%ymm") {
        32
    } else if operands.contains("%xmm") {
        16
    } else {
        return None;
    };
    match name.get(name.len() - 2..)? {
        "ss" | "sd" => Some(each),
        "ps" => Some(each * wide / 4),
        "pd" => Some(each * wide / 8),
        _ => None,
    }
}

/// `fadd s0, s1, s2`, `fmla v0.4s, v1.4s, v2.4s` and so on.
fn arm(name: &str, operands: &str) -> Option<u64> {
    let each = match name {
        "fadd" | "fsub" | "fmul" | "fnmul" | "fdiv" | "fsqrt" => 1,
        "fmadd" | "fmsub" | "fnmadd" | "fnmsub" | "fmla" | "fmls" => 2,
        _ => return None,
    };
    let first = operands.split(',').next()?.trim();
    let lanes = match first.split_once('.') {
        None => 1,
        Some((_, shape)) => shape.trim_end_matches(['s', 'd', 'h']).parse().ok()?,
    };
    Some(each * lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: &str = "
0000000000001180 <_ZN12_GLOBAL__N_1L11emu_entry_0E>:
    1180:\tpush   %rbx
    1181:\tcall   1060 <__sanitizer_cov_trace_pc@plt>
    1186:\tmovss  (%rdi),%xmm0
    118a:\tcall   1070 <__tsan_read4@plt>
    118f:\taddss  %xmm1,%xmm0
    1193:\tvfmadd231ps %xmm1,%xmm2,%xmm0
    1198:\tjne    11a0 <x>
    119a:\tcall   1060 <__sanitizer_cov_trace_pc@plt>
    119f:\tvdivsd %xmm1,%xmm2,%xmm0
    11a3:\tadd    $0x10,%rsp
    11a7:\tret

00000000000011b0 <after>:
    11b0:\taddss  %xmm1,%xmm0
";

    #[test]
    fn a_blocks_operations_are_those_after_its_call() {
        let blocks = blocks(X86);
        assert_eq!(blocks, BTreeMap::from([(0x1186, 9), (0x119f, 1)]));
        assert_eq!(
            count(&blocks, &[(0x1186, 10), (0x119f, 3), (0x9999, 5)]),
            93
        );
    }

    #[test]
    fn instructions_of_both_processors_are_known() {
        for (instruction, operations_of_it) in [
            ("mulps  %xmm1,%xmm0", 4),
            ("vaddps %ymm1,%ymm2,%ymm0", 8),
            ("sqrtss %xmm1,%xmm0", 1),
            ("add    %rax,%rbx", 0),
            ("addpd  %xmm1,%xmm0", 2),
            ("vfnmsub213ss %xmm1,%xmm2,%xmm0", 2),
            ("fadd\ts0, s1, s2", 1),
            ("fmla\tv0.4s, v1.4s, v2.4s", 8),
            ("fmadd\td0, d1, d2, d3", 2),
            ("paddd  %xmm1,%xmm0", 0),
        ] {
            assert_eq!(operations(instruction), operations_of_it, "{instruction}");
        }
    }
}
