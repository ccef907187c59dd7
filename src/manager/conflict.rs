//! What a person is told of a conflict: every place, of every patch that fails.

use crate::error::Error;
use crate::git::stack::Stuck;
use crate::manager::plan::Plan;

/// The error of an operation that stopped at `at`.
pub fn error(plan: &Plan, at: &str, stuck: &[Stuck]) -> Error {
    let mut what = format!("`{plan}` stopped at {at}: conflicts");
    for stuck in stuck {
        for misfit in &stuck.misfits {
            what.push_str(&format!("\n{misfit}"));
        }
    }
    let later: Vec<&str> = stuck
        .iter()
        .map(|stuck| stuck.feature.as_str())
        .filter(|feature| *feature != at)
        .collect();
    let mut error = Error::conflict(what);
    for stuck in stuck.iter().filter(|stuck| stuck.feature == at) {
        error = error.hint(match (&stuck.parts[..], &stuck.shown) {
            ([], None) => format!(
                "mlx_local/{} is gone upstream: put its change where it belongs now, or leave it",
                stuck.path
            ),
            ([], Some(_)) => format!(
                "mlx_local/{}: only one side has this file; keep, change or delete it",
                stuck.path
            ),
            _ => format!(
                "mlx_local/{} has the places between <<<<<<< and >>>>>>>",
                stuck.path
            ),
        });
    }
    if !later.is_empty() {
        error = error.hint(format!("after it, {} will conflict too", later.join(", ")));
    }
    error
}
