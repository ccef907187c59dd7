//! What the host binds against what the kernel has: what differs is a `binding` fault. That
//! something is missing, or too small, is the driver's to say.

use super::compile::Build;
use super::data::{Data, scalar};
use super::launch::{Binding, Contents, Launch};
use super::report::{Argument, Fault, Report};

impl Launch<'_> {
    /// The report of a launch that can't be made, as on a Mac no pipeline is: nothing sets a
    /// function constant that the kernel reads. `None` where all are set.
    pub(super) fn lacks_constants(&self) -> Option<Report> {
        let needed = self.kernel.needed_constants();
        let mut lacking = needed.into_iter().filter(|constant| {
            let mut given = self.constants.iter();
            !given.any(|(index, _)| *index == constant.index)
        });
        let fault = |index: u64, name: &str, place: &str| {
            Fault::new(
                "binding",
                format!(
                    "nothing sets function constant {index}, '{name}' ({place}), which the kernel reads"
                ),
            )
        };
        let first = lacking.next()?;
        let checked = self.kernel.build == Build::Checked;
        let first = fault(first.index, &first.name, &first.place);
        let mut report = Report::lost(&self.kernel.name, checked, first);
        lacking.for_each(|next| report.note(fault(next.index, &next.name, &next.place)));
        Some(report)
    }

    /// Notes what is bound and differs from what the kernel has.
    pub(super) fn compare(&self, report: &mut Report) {
        if report.arguments.is_empty() && !self.kernel.parameters.is_empty() {
            return;
        }
        let mut faults = Vec::new();
        for binding in &self.bindings {
            let index = binding.index;
            let all = report.arguments.iter();
            let at: Vec<&Argument> = all
                .filter(|argument| argument.kind == "buffer" && argument.index == index)
                .collect();
            let wrong: Option<Vec<String>> = match at.is_empty() {
                true => Some(vec![format!(
                    "'{}' is bound at {index}, where the kernel has nothing",
                    binding.name
                )]),
                // Function constants choose among those of one index.
                false => at
                    .iter()
                    .map(|argument| differs(binding, argument))
                    .collect(),
            };
            if let Some(what) = wrong {
                let mut fault = Fault::new("binding", what.join("; or "));
                fault.buffer = Some(binding.name.clone());
                faults.push(fault);
            }
        }
        for (index, _) in &self.threadgroup {
            let there = report
                .arguments
                .iter()
                .any(|argument| argument.kind == "threadgroup" && argument.index == *index);
            if !there {
                let what =
                    format!("threadgroup memory is set at {index}, where the kernel has none");
                faults.push(Fault::new("binding", what));
            }
        }
        faults.into_iter().for_each(|fault| report.note(fault));
    }
}

/// How a binding differs from a parameter of its index; `None` where it may be it.
fn differs(binding: &Binding, argument: &Argument) -> Option<String> {
    let index = binding.index;
    let (data, exact): (&Data, bool) = match &binding.contents {
        Contents::Read(data) | Contents::ReadWrite(data) => (data, false),
        Contents::Bytes(data) => (data, argument.reference),
        Contents::Empty(_) => return None,
    };
    if exact && data.bytes.len() != argument.size {
        return Some(format!(
            "{} bytes are set at {index}, where the kernel has '{}' of {} bytes ({})",
            data.bytes.len(),
            argument.name,
            argument.size,
            argument.ty
        ));
    }
    match (data.ty, scalar(&argument.ty)) {
        (Some(given), Some(has)) if given != has => Some(format!(
            "'{}' is bound at {index} as {given}, and the kernel has '{}' of type {has}",
            binding.name, argument.name
        )),
        _ => None,
    }
}
