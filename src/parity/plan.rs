//! What a run of parity is to do: which cases, with which builds, SIMD instructions, threads,
//! limits. Choosing only; `run` does it.

use std::path::PathBuf;
use std::time::Duration;

use super::case::Case;
use super::ops;
use crate::device::Device;
use crate::error::{Error, Result};

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which cases by name: a whole name, a part of it, or a pattern with `*` and `?`.
    pub filter: Option<String>,
    /// The seed of all inputs.
    pub seed: u64,
    /// What both builds compute on.
    pub device: Device,
    /// Only the quick cases.
    pub smoke: bool,
    /// The extension's build on both sides, instead of stock's and the fork's.
    pub extension: bool,
    /// Only these ops, where the fork has not all features; none: all that parity knows.
    pub ops: Option<Vec<String>>,
    /// Cases by their whole names that come first, in this order, as far as they are selected.
    pub first: Vec<String>,
    /// The libmlx_fork_c on the fork's side, instead of the one that setup-mlx built.
    pub library: Option<PathBuf>,
    /// Compute stock's results too; without them the fork is judged alone.
    pub stock: bool,
    /// Further environment of the fork's workers.
    pub env: Vec<(String, String)>,
    /// SIMD instructions with each of which the fork computes all cases: names as
    /// `MLX_FUSED_CPU_SIMD` takes them. None: once, with what the build chooses.
    pub simds: Vec<String>,
    /// Thread counts with which the fork must give the same bits as with its own choice.
    pub threads: Vec<i32>,
    /// End after the first failures: cases that were not begun by then are not planned.
    pub fail_fast: bool,
    /// A case that takes longer hangs, and its worker is killed.
    pub hang: Duration,
    /// Address space that a worker may have, in MiB.
    pub memory_mib: u64,
    /// How much of a worker's stderr is told when it ends before its time, in lines.
    pub last_lines: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            filter: None,
            seed: 1,
            device: Device::default(),
            smoke: false,
            extension: false,
            ops: None,
            first: Vec::new(),
            library: None,
            stock: true,
            env: Vec::new(),
            simds: Vec::new(),
            threads: vec![1, 2, 3],
            fail_fast: false,
            // The slowest case takes 5 s on two busy cores; the largest needs 2 GiB.
            hang: Duration::from_secs(120),
            memory_mib: 12 * 1024,
            last_lines: 5,
        }
    }
}

/// The cases of a plan.
pub fn select(plan: &Plan) -> Result<Vec<Box<dyn Case>>> {
    let all = ops::catalogue();
    let exact = plan
        .filter
        .as_deref()
        .is_some_and(|f| all.iter().any(|c| c.name() == f));
    let mut cases: Vec<_> = all
        .into_iter()
        .filter(|case| !plan.smoke || case.smoke())
        .filter(|case| match &plan.ops {
            Some(ops) => ops.iter().any(|op| op == case.op()),
            None => true,
        })
        .filter(|case| match plan.filter.as_deref() {
            None => true,
            Some(name) if exact => case.name() == name,
            Some(pattern) if pattern.contains(['*', '?']) => glob(pattern, case.name()),
            Some(part) => case.name().contains(part),
        })
        .collect();
    if cases.is_empty() {
        let what = plan.filter.as_deref().unwrap_or("the ops of this fork");
        return Err(
            Error::gate(format!("no case matches {what}: nothing was run"))
                .hint("`cargo xtask parity --list` names all cases"),
        );
    }
    let place = |name: &str| plan.first.iter().position(|first| first == name);
    cases.sort_by_key(|case| place(case.name()).unwrap_or(usize::MAX));
    Ok(cases)
}

/// True when the whole text matches; `*` stands for any run of characters, `?` for one.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (mut matches, text) = (vec![true], text.as_bytes());
    matches.resize(text.len() + 1, false);
    for p in pattern.bytes() {
        let mut next = vec![false; text.len() + 1];
        next[0] = p == b'*' && matches[0];
        for (i, t) in text.iter().enumerate() {
            next[i + 1] = match p {
                b'*' => matches[i + 1] || next[i],
                b'?' => matches[i],
                _ => matches[i] && p == *t,
            };
        }
        matches = next;
    }
    matches[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(filter: &str) -> Plan {
        Plan {
            filter: Some(filter.into()),
            ..Plan::default()
        }
    }

    #[test]
    fn every_processor_has_the_portable_kernels() {
        let all = crate::simd::available();
        assert_eq!(all[0], "portable");
        assert!(!(all.contains(&"neon") && all.contains(&"avx2")));
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(glob("a/*/c?", "a/b/x/cd"));
        assert!(!glob("a/*", "b/a/c") && !glob("a?", "a") && glob("*", ""));
    }

    #[test]
    fn a_whole_name_selects_just_that_case() {
        let name = ops::catalogue()[0].name().to_string();
        let cases = select(&plan(&name)).unwrap();
        assert_eq!(cases.len(), 1);
        assert!(select(&plan("gather_qmm_swiglu/mxfp4")).unwrap().len() > 5);
    }

    #[test]
    fn no_case_is_a_failed_gate() {
        let error = select(&plan("no such case")).err().unwrap();
        assert_eq!(error.kind(), crate::Kind::Gate);
    }

    #[test]
    fn cases_that_are_to_come_first_do_and_the_others_keep_their_order() {
        let all: Vec<String> = select(&Plan::default())
            .unwrap()
            .iter()
            .map(|case| case.name().to_string())
            .collect();
        let first = vec![all[7].clone(), "no case".into(), all[3].clone()];
        let plan = Plan {
            first: first.clone(),
            ..Plan::default()
        };
        let cases = select(&plan).unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.name()).collect();
        assert_eq!(names[..3], [&all[7], &all[3], &all[0]]);
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn ops_that_a_fork_lacks_can_be_left_out() {
        let plan = Plan {
            ops: Some(vec!["gather_qmm_swiglu".into()]),
            ..Plan::default()
        };
        assert!(
            select(&plan)
                .unwrap()
                .iter()
                .all(|c| c.op() == "gather_qmm_swiglu")
        );
    }
}
