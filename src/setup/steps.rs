//! The steps of the chain, each from its inputs to what it leaves behind.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{BuildReport, Chain, Mode};
use crate::build::stamp::{Inputs, Stamp};
use crate::build::{
    self, Against, SideInput, Sides, ThirdParty, Tools, bindings, files, tools, wheel,
};
use crate::composed::Composed;
use crate::device::Device;
use crate::error::{Doing, Error, Result, reading};
use crate::git;
use crate::git::compose::Fork;
use crate::parity;
use crate::probe;
use crate::run;
use crate::series::Series;
use crate::side::Side;
use crate::source::{self, Served};

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::bug(e.to_string()))
}

impl Chain<'_> {
    /// Composes the fork and has `mlx_local` show it.
    pub(super) fn fork(&mut self, served: &Served, series: &Series) -> Result<Fork> {
        self.step("series", |chain| {
            let (fork, composed) = chain.composed(served, series)?;
            let changed = git::checkout::fork(chain.layout, &fork)?;
            if !changed.untracked.is_empty() {
                chain.ui.note(&format!(
                    "mlx_local has {} files that are not of the fork; they stay as they are",
                    changed.untracked.len()
                ));
            }
            let did = composed || !changed.written.is_empty() || !changed.removed.is_empty();
            Ok((fork, did))
        })
    }

    fn composed(&self, served: &Served, series: &Series) -> Result<(Fork, bool)> {
        if let Some(last) = Composed::read(self.layout)
            && last.series == series.content_key()
            && last.fork.base == served.commit
            && git::compose::is_there(self.layout, &last.fork)?
        {
            return Ok((last.fork, false));
        }
        if served.pin.as_deref() != Some(&series.base) {
            let request = &self.request.source;
            source::obtain_objects_of_pin(
                self.layout,
                self.config,
                &series.base,
                &request.url,
                &request.choice,
                self.ui,
            )
            .doing(|| format!("getting {}, which the series is made for", series.base))?;
        }
        let fork = git::compose::compose(self.layout, series, &served.commit)?;
        Composed::write(self.layout, series, &fork)?;
        Ok((fork, true))
    }

    /// Finds the tools and MLX's third-party sources.
    pub(super) fn tools(&mut self) -> Result<(Tools, ThirdParty)> {
        self.step("tools", |chain| {
            let options = &chain.request.options;
            let known = tools::recorded(chain.layout, options);
            let found = tools::find(chain.layout, options, chain.ui)?;
            let did = known.as_ref() != Some(&found);
            let third_party = build::third_party::resolve(
                chain.layout,
                chain.config,
                options,
                &found,
                &chain.layout.mlx_local(),
            )?;
            Ok(((found, third_party), did))
        })
    }

    /// Builds stock and the fork, and the C API against each.
    pub(super) fn both(
        &mut self,
        served: &Served,
        fork: &Fork,
        series: &Series,
        tools: &Tools,
        third_party: &ThirdParty,
    ) -> Result<Vec<BuildReport>> {
        let inputs = side_inputs(served, fork, series);
        let mut builds = Vec::new();
        let mut stock_tree = None;
        for (name, input) in ["stock", "fork"].into_iter().zip(&inputs) {
            let built = self.step(name, |chain| {
                let show = chain.show();
                let sides = chain.sides_with(tools, third_party, &show);
                let built = sides.build(input, stock_tree, chain.ui)?;
                let did = !built.fresh;
                Ok((built, did))
            })?;
            stock_tree = Some(input.tree.as_str());
            builds.push(built);
        }
        self.step("C API", |chain| {
            let mut did = false;
            for built in &builds {
                let options = &chain.request.options;
                did |= !build::c_api(chain.layout, options, tools, built, chain.ui)?.fresh;
            }
            Ok(((), did))
        })?;
        Ok(builds.iter().map(BuildReport::of).collect())
    }

    /// Builds MLX's C++ tests and ours against the fork.
    pub(super) fn tests(
        &mut self,
        served: &Served,
        fork: &Fork,
        series: &Series,
        tools: &Tools,
        third_party: &ThirdParty,
    ) -> Result<()> {
        let [_, input] = side_inputs(served, fork, series);
        self.step("tests", |chain| {
            let stamp = Stamp::at(chain.layout.stamps().join("tests.json"));
            let inputs = chain.builds_as_inputs()?;
            if stamp.stale(&inputs).is_none() {
                return Ok(((), false));
            }
            stamp.remove()?;
            let show = chain.show();
            let sides = chain.sides_with(tools, third_party, &show);
            let program = sides.build_tests(&input, chain.ui)?;
            stamp.save(&inputs, &[program])?;
            Ok(((), true))
        })
    }

    fn show(&self) -> impl Fn(&str) -> Result<()> {
        let layout = self.layout;
        move |tree: &str| git::checkout::materialize(layout, tree).map(|_| ())
    }

    fn sides_with<'b>(
        &'b self,
        tools: &'b Tools,
        third_party: &'b ThirdParty,
        show: &'b dyn Fn(&str) -> Result<()>,
    ) -> Sides<'b> {
        Sides {
            layout: self.layout,
            options: &self.request.options,
            tools,
            third_party,
            show,
        }
    }

    /// Builds our primitives alone, against an MLX that is there.
    pub(super) fn extension(
        &mut self,
        fork: &Fork,
        tools: &Tools,
        prefix: Option<&Path>,
    ) -> Result<Vec<BuildReport>> {
        let against = match prefix {
            Some(prefix) => Against::Prefix(prefix.to_path_buf()),
            None => Against::Wheel(wheel::release_of(&self.layout.mlx_local())?),
        };
        let built = self.step("extension", |chain| {
            let options = &chain.request.options;
            let (layout, ui) = (chain.layout, chain.ui);
            let built = build::extension(layout, options, tools, &against, &fork.id, ui)?;
            let did = !built.fresh;
            Ok((built, did))
        })?;
        Ok(vec![BuildReport::of(&built)])
    }

    /// Compares sys/src/bindings.rs with what bindgen makes of the header.
    pub(super) fn bindings(&mut self, tools: &Tools) -> Result<()> {
        self.step("bindings", |chain| {
            let layout = chain.layout;
            let header = bindings::header(layout);
            let text = std::fs::read(&header).doing(reading(&header))?;
            let stamp = Stamp::at(layout.stamps().join("bindings.json"));
            let inputs = Inputs::default()
                .with("mlx_fork.h", files::hex(&Sha256::digest(&text)))
                .with("libclang", tools::file_key(&tools.libclang))
                .with("the C compiler", tools.cc.key());
            if stamp.stale(&inputs).is_none() {
                return Ok(((), false));
            }
            stamp.remove()?;
            let generated = bindings::generate(layout, &tools.libclang, &tools.cc.path)?;
            if bindings::update(layout, &generated)? == bindings::State::Stale {
                chain.ui.warn(
                    "sys/src/bindings.rs was not what bindgen makes of mlx_fork.h; it is now: \
                     commit it",
                );
            }
            stamp.save(&inputs, &[bindings::checked_in(layout)])?;
            Ok(((), true))
        })
    }

    /// Probes the builds; gives the probes that held, and all.
    pub(super) fn probe(&mut self, series: &Series) -> Result<(usize, usize)> {
        let sides = self.sides();
        let expected = probe::expected(self.config, series);
        let stamp = Stamp::at(self.layout.stamps().join("probe.json"));
        let mut inputs = self.builds_as_inputs()?;
        inputs = inputs.with("what is expected", format!("{expected:?}"));
        self.gate("probe", stamp, inputs, |chain| {
            let mut subjects = Vec::new();
            for side in sides {
                subjects.push(run::installed(chain.layout, *side)?.subject(chain.layout)?);
            }
            let worker = (&*chain.request.worker, "probe-worker");
            let report = probe::run(&subjects, &expected, worker)?;
            chain.keep("probe", &report)?;
            report.verdict()?;
            Ok((report.probes - report.failed, report.probes))
        })
    }

    /// Compares the builds, on the quick cases or on a GPU on all; gives those that passed, and
    /// all.
    pub(super) fn parity(&mut self, series: &Series) -> Result<(usize, usize)> {
        let stamp = Stamp::at(self.layout.stamps().join("parity.json"));
        let inputs = self.builds_as_inputs()?.with(
            "the comparing program",
            tools::file_key(&self.request.worker),
        );
        let plan = parity::Plan {
            // Where kernels run on a GPU, this is the only place that compares them.
            smoke: Device::default() == Device::Cpu,
            extension: self.request.mode != Mode::Fork,
            ops: Some(series.selected().map(|f| f.name.clone()).collect()),
            ..parity::Plan::default()
        };
        self.gate("parity", stamp, inputs, |chain| {
            let report = parity::run(chain.layout, &plan, &chain.request.worker, chain.ui)?;
            chain.keep("parity", &report)?;
            report.check()?;
            report.check_kernels()?;
            Ok((report.passed, report.planned))
        })
    }

    /// Keeps a report whole, whatever it says.
    fn keep(&self, name: &str, report: &impl Serialize) -> Result<()> {
        files::replace(&self.report(name), &json(report)?)
    }

    fn report(&self, name: &str) -> PathBuf {
        self.layout.reports().join(format!("{name}.json"))
    }

    fn sides(&self) -> &'static [Side] {
        match self.request.mode {
            Mode::Fork => &[Side::Stock, Side::Fork],
            Mode::Extension(_) => &[Side::Extension],
        }
    }

    /// The builds as what a step of judging depends on.
    fn builds_as_inputs(&self) -> Result<Inputs> {
        let mut inputs = Inputs::default();
        for side in self.sides() {
            let mut names = vec![side.name().to_string()];
            if *side != Side::Extension {
                names.push(format!("{}-c", side.name()));
            }
            for name in names {
                let stamp = Stamp::at(self.layout.stamps().join(format!("{name}.json")));
                inputs = inputs.with(&name, stamp.key()?);
            }
        }
        Ok(inputs)
    }

    /// A step that judges: once it held for these inputs, its counts are remembered.
    fn gate(
        &mut self,
        name: &'static str,
        stamp: Stamp,
        inputs: Inputs,
        judge: impl FnOnce(&Self) -> Result<(usize, usize)>,
    ) -> Result<(usize, usize)> {
        let counts = self.layout.stamps().join(format!("{name}-counts.json"));
        self.step(name, |chain| {
            let known = std::fs::read(&counts)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok());
            if let (None, Some(known)) = (stamp.stale(&inputs), known) {
                return Ok((known, false));
            }
            stamp.remove()?;
            let found = judge(chain)?;
            files::replace(&counts, &json(&found)?)?;
            stamp.save(&inputs, &[counts, chain.report(name)])?;
            Ok((found, true))
        })
    }
}

fn side_inputs(served: &Served, fork: &Fork, series: &Series) -> [SideInput; 2] {
    let overlay = series
        .selected()
        .flat_map(|feature| &feature.overlay)
        .map(|file| (file.source.clone(), file.target.clone()))
        .collect();
    [
        SideInput {
            side: Side::Stock,
            tree: served.tree.clone(),
            id: served.commit.clone(),
            overlay: Vec::new(),
        },
        SideInput {
            side: Side::Fork,
            tree: fork.tree.clone(),
            id: fork.id.clone(),
            overlay,
        },
    ]
}
