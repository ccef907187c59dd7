//! One build with a layer's weights loaded: it makes a call's graph and times its evaluation.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Instant;

use mlx_fork_sys::Array;

use super::case::{Case, Op};
use super::inputs::{self, NAMES, Routing};
use super::worker::Check;
use crate::error::{Error, Result};
use crate::parity::engine::{Engine, Uploaded, done, quantization};
use crate::parity::ops::Storage;
use crate::parity::worker::Form;

/// Different activations that calls take in turn.
const VARIANTS: usize = 4;

/// The build.
pub struct Build {
    /// Its library.
    pub engine: Engine,
    form: Form,
    seed: u64,
    /// For each set the matrices that were loaded.
    sets: Vec<Vec<Uploaded>>,
    /// The first of them: 0 gate, 1 up, 2 down.
    first: usize,
    /// The activations of the case that was called last.
    activations: Option<(Case, Vec<Array>)>,
}

impl Build {
    /// Loads the library and the weights that the case's op needs.
    pub fn open(library: &Path, form: Form, seed: u64, case: &Case) -> Result<Self> {
        let engine = Engine::open(library)?;
        let upload = |set, matrix| {
            let made = inputs::weights(seed, case, set, matrix);
            engine.matrix(&made, NAMES, Storage::Rows)
        };
        let sets: Result<Vec<Vec<Uploaded>>> = (0..case.shape.sets)
            .map(|set| {
                case.op
                    .matrices()
                    .map(|matrix| upload(set, matrix))
                    .collect()
            })
            .collect();
        let sets = sets?;
        Ok(Build {
            engine,
            form,
            seed,
            sets,
            first: case.op.matrices().start,
            activations: None,
        })
    }

    /// One call at this position: its seconds, from building the graph to the evaluated result,
    /// and where wanted the result in short. Right before it, perhaps, one at another position.
    /// The inputs of both are on the device already.
    pub fn call(
        &mut self,
        case: &Case,
        before: Option<u64>,
        position: u64,
        check: bool,
    ) -> Result<(f64, Option<Check>)> {
        self.prepare(case)?;
        let before = before.map(|at| self.given(case, at)).transpose()?;
        let given = self.given(case, position)?;
        if let Some(before) = before {
            done(self.graph(case, &before)?.eval())?;
        }
        let start = Instant::now();
        let result = self.graph(case, &given)?;
        done(result.eval())?;
        let seconds = start.elapsed().as_secs_f64();
        let checked = check.then(|| self.check(&result)).transpose()?;
        Ok((seconds, checked))
    }

    fn given(&self, case: &Case, position: u64) -> Result<Given<'_>> {
        let routing = Routing::at(self.seed, case, position);
        let upload = |tensor| self.engine.upload(tensor, Storage::Rows);
        let variants = self.activations.iter().flat_map(|(_, variants)| variants);
        let x = variants.cycle().nth(position as usize % VARIANTS);
        Ok(Given {
            x: x.ok_or_else(|| Error::bug("a call without activations"))?,
            indices: upload(&routing.indices)?,
            weights: upload(&routing.weights)?,
            set: &self.sets[routing.set],
            first: self.first,
        })
    }

    /// The paths that the last call of the case took in the fork: `fast`, or `fast, general`.
    pub fn path(&self, case: &Case) -> Result<Option<String>> {
        if self.form == Form::Stock {
            return Ok(None);
        }
        let mut paths = Vec::new();
        for op in case.op.primitives() {
            paths.push(done(self.engine.lib.last_path(op))?.to_string());
        }
        paths.dedup();
        Ok(Some(paths.join(", ")))
    }

    fn prepare(&mut self, case: &Case) -> Result<()> {
        if matches!(&self.activations, Some((made_for, _)) if made_for == case) {
            return Ok(());
        }
        let made: Result<Vec<Array>> = (0..VARIANTS)
            .map(|variant| {
                let tensor = inputs::activation(self.seed, case, variant);
                self.engine.upload(&tensor, Storage::Rows)
            })
            .collect();
        self.activations = Some((case.clone(), made?));
        Ok(())
    }

    fn graph(&self, case: &Case, given: &Given) -> Result<Array> {
        let (swiglu, combine): (Step, Step) = match self.form {
            Form::Fork => (Self::fused_swiglu, Self::fused_combine),
            Form::Stock => (Self::stock_swiglu, Self::stock_combine),
        };
        match case.op {
            Op::Swiglu => swiglu(self, case, given, given.x),
            Op::Combine => combine(self, case, given, given.x),
            Op::Layer => {
                let h = done(swiglu(self, case, given, given.x)?.squeeze(-2))?;
                combine(self, case, given, &h)
            }
        }
    }

    fn fused_swiglu(&self, case: &Case, given: &Given, x: &Array) -> Result<Array> {
        let (gate, up) = (given.matrix(0), given.matrix(1));
        done(self.engine.lib.gather_qmm_swiglu(
            x,
            gate.matrix(),
            up.matrix(),
            None,
            Some(&given.indices),
            quantization(case.shape.quant, true),
            "silu",
            false,
        ))
    }

    fn fused_combine(&self, case: &Case, given: &Given, h: &Array) -> Result<Array> {
        done(self.engine.lib.gather_qmm_downproj_combine(
            h,
            given.matrix(2).matrix(),
            &given.indices,
            &given.weights,
            quantization(case.shape.quant, true),
            "exact",
        ))
    }

    /// x (…, 1, K) and one matrix of the chosen experts, by stock's op.
    fn product(&self, case: &Case, given: &Given, x: &Array, w: &Uploaded) -> Result<Array> {
        done(self.engine.lib.gather_qmm(
            x,
            w.matrix(),
            None,
            Some(&given.indices),
            quantization(case.shape.quant, true),
            false,
        ))
    }

    fn stock_swiglu(&self, case: &Case, given: &Given, x: &Array) -> Result<Array> {
        let (gate, up) = (given.matrix(0), given.matrix(1));
        let g = self.product(case, given, x, gate)?;
        let u = self.product(case, given, x, up)?;
        let a = done(g.multiply(&done(g.sigmoid())?))?;
        done(a.multiply(&u))
    }

    fn stock_combine(&self, case: &Case, given: &Given, h: &Array) -> Result<Array> {
        let h = done(h.expand_dims(-2))?;
        let y = done(self.product(case, given, &h, given.matrix(2))?.squeeze(-2))?;
        let weights = done(given.weights.expand_dims(-1))?;
        done(done(y.multiply(&weights))?.sum(-2, false))
    }

    fn check(&self, result: &Array) -> Result<Check> {
        let tensor = self.engine.download(result)?;
        let mut hasher = DefaultHasher::new();
        tensor.bytes.hash(&mut hasher);
        let values = tensor.floats();
        let square: f64 = values.iter().map(|v| v * v).sum();
        let rms = (square / values.len().max(1) as f64).sqrt();
        Ok(Check {
            shape: tensor.shape,
            bits: hasher.finish(),
            // JSON has no NaN.
            rms: rms.is_finite().then_some(rms),
        })
    }
}

/// One of the ops in one of the forms.
type Step = fn(&Build, &Case, &Given, &Array) -> Result<Array>;

/// A call's inputs.
struct Given<'a> {
    x: &'a Array,
    indices: Array,
    weights: Array,
    set: &'a [Uploaded],
    first: usize,
}

impl Given<'_> {
    /// 0 gate, 1 up, 2 down.
    fn matrix(&self, number: usize) -> &Uploaded {
        &self.set[number - self.first]
    }
}
