//! The C API, `libmlx_fork_c`, built against a finished side and installed beside its libmlx.
//! Not the API itself: that is mlx_primitives/c.

use std::time::Instant;

use crate::error::{Kind, Result};
use crate::layout::Layout;
use crate::ui::Ui;

use super::files::content_key;
use super::options::Options;
use super::prefix;
use super::project::Project;
use super::sides::{self, Build};
use super::stamp::{Inputs, Stamp};
use super::tools::Tools;

/// A finished step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name: `fork-c`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// True when it was up to date.
    pub fresh: bool,
}

/// Builds the C API against this build and installs it into its prefix, where it is not up
/// to date.
///
/// # Errors
/// [`Kind::Gate`] where it doesn't compile, [`Kind::Environment`] where the machine is to
/// blame.
pub fn c_api(
    layout: &Layout,
    options: &Options,
    tools: &Tools,
    build: &Build,
    ui: &dyn Ui,
) -> Result<Step> {
    let start = Instant::now();
    let name = format!("{}-c", build.side.name());
    let source = layout.root().join("mlx_primitives/c");
    let content = content_key(&source)?;
    let project = Project {
        layout,
        tools,
        options,
        name: name.clone(),
        listed: source.clone(),
        source,
        folder: layout.target().join(format!("build-{name}")),
        args: vec![
            format!("-DCMAKE_PREFIX_PATH={}", build.prefix.display()),
            format!("-DCMAKE_INSTALL_PREFIX={}", build.prefix.display()),
        ],
        id: build.id.clone(),
        against: Inputs::default(),
        // Which functions there are depends on the headers that the prefix has.
        read: Inputs::default().with(
            &format!("the build of {}", build.side.name()),
            sides::stamp(layout, build.side).key()?,
        ),
        environment: Vec::new(),
        failure: Kind::Gate,
    };
    let inputs = project.inputs().with("the C API's sources", content);
    let stamp = Stamp::at(layout.stamps().join(format!("{name}.json")));
    let stale = stamp.stale(&inputs);
    if stale.is_some() {
        stamp.remove()?;
        let held = project.hold(ui)?;
        held.configure(ui)?;
        held.build(&["all"], ui)?;
        stamp.save(&inputs, &prefix::add(&held, &build.prefix, ui)?)?;
    }
    Ok(Step {
        name,
        seconds: start.elapsed().as_secs_f64(),
        fresh: stale.is_none(),
    })
}
