//! Our primitives as `eval_gpu` computes them: from a parity case's inputs to a launch, and from
//! the emulator's buffers to a tensor.

use std::sync::OnceLock;

use mlx_fork::emulator::{Build, Data, Emulator, Kernel, Launch, Numerics, Outcome, Program};
use mlx_fork::parity::case::{Call, Case};
use mlx_fork::parity::float::Float;
use mlx_fork::parity::ops::Storage;
use mlx_fork::parity::tensor::{Dtype, Tensor, Tensors};

use crate::arrays::{Array, cast};
use crate::host::{self, Encoded};

/// The emulator, with our files in MLX's tree.
pub fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| {
        Emulator::new(&host::layout())
            .unwrap()
            .include(host::overlay())
    })
}

/// The kernels of a primitive.
pub fn program(op: &str) -> &'static Program<'static> {
    static SWIGLU: OnceLock<Program> = OnceLock::new();
    static COMBINE: OnceLock<Program> = OnceLock::new();
    let cell = match op {
        "gather_qmm_swiglu" => &SWIGLU,
        "gather_qmm_downproj_combine" => &COMBINE,
        other => panic!("no kernels for {other}"),
    };
    cell.get_or_init(|| {
        let file = format!("mlx/backend/metal/kernels/{op}.metal");
        emulator().read(file.as_str()).unwrap()
    })
}

/// An evaluation that is ready to be launched.
pub struct Evaluation {
    pub op: &'static str,
    pub encoded: Encoded,
    /// The primitive's inputs, with names for reports.
    pub inputs: Vec<(&'static str, Array)>,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

const SWIGLU: [&str; 7] = [
    "x",
    "gate_w",
    "gate_scales",
    "gate_biases",
    "up_w",
    "up_scales",
    "up_biases",
];

/// What the case's op evaluates, to a result of this type and shape; none where that is a
/// composition of stock's operations. `storage` says how each input lies in memory.
pub fn evaluation(
    case: &dyn Case,
    inputs: &Tensors,
    (float, shape): (Float, &[usize]),
    storage: &dyn Fn(&str) -> Storage,
) -> Option<Evaluation> {
    let call = case.call();
    if inputs.values().any(|tensor| tensor.bytes.is_empty()) || shape.contains(&0) {
        return None;
    }
    let indices = ["lhs_indices", "rhs_indices"];
    let names: Vec<&'static str> = match case.op() {
        "gather_qmm_swiglu" => SWIGLU.into_iter().chain(indices).collect(),
        _ => vec!["h", "w", "scales", "biases", "rhs_indices", "weights"],
    };
    let given: Vec<(&'static str, Array)> = names
        .into_iter()
        .filter_map(|name| {
            let tensor = inputs.get(name)?;
            // The op casts what it computes with, and nothing else.
            let own = name == "weights";
            let tensor = if own {
                tensor.clone()
            } else {
                cast(tensor, call.float)
            };
            Some((name, Array::of(&tensor, storage(name))))
        })
        .collect();
    let request = match case.op() {
        "gather_qmm_swiglu" => swiglu(&call, &given),
        _ => combine(&call, &given, float)?,
    };
    Some(Evaluation {
        op: case.op(),
        encoded: host::ask(&request)?,
        inputs: given,
        dtype: float.dtype(),
        shape: shape.to_vec(),
    })
}

/// How the case's own inputs lie in memory.
pub fn own_storage(call: &Call) -> impl Fn(&str) -> Storage + use<> {
    let storage = call.storage;
    move |name| match name {
        "lhs_indices" | "rhs_indices" | "weights" => Storage::Rows,
        _ => storage,
    }
}

fn format(call: &Call) -> String {
    let float = match call.float {
        Float::F32 => "float",
        Float::F16 => "float16_t",
        Float::Bf16 => "bfloat16_t",
    };
    let Call {
        quant, transpose, ..
    } = call;
    format!(
        "{float} {} {} {} {}",
        quant.mode(),
        quant.group(),
        quant.bits(),
        u8::from(*transpose)
    )
}

fn array<'a>(given: &'a [(&'static str, Array)], name: &str) -> Option<&'a Array> {
    given
        .iter()
        .find(|(own, _)| *own == name)
        .map(|(_, array)| array)
}

fn arrays(given: &[(&'static str, Array)], names: &[&str]) -> String {
    let words = names
        .iter()
        .map(|name| array(given, name).map_or("-".into(), Array::words));
    words.collect::<Vec<String>>().join(" ")
}

fn swiglu(call: &Call, given: &[(&'static str, Array)]) -> String {
    let activation = match call.word {
        "silu" => 0,
        "gelu_approx" => 1,
        other => panic!("no activation {other}"),
    };
    // The default stands for all matrices of x, or of gate; without any index and without a
    // batch of x, for the first matrix alone.
    let alone = array(given, "lhs_indices")
        .or(array(given, "rhs_indices"))
        .is_none()
        && array(given, "x").unwrap().shape.len() <= 2;
    let batch = |name: &str| {
        let shape = &array(given, name).unwrap().shape;
        match alone {
            true => Vec::new(),
            false => shape[..shape.len().saturating_sub(2)].to_vec(),
        }
    };
    let [lhs, rhs] =
        [("lhs_indices", "x"), ("rhs_indices", "gate_w")].map(|(name, of)| {
            match array(given, name) {
                Some(indices) => indices.index_words(),
                None => format!("-:{}", crate::arrays::list(&batch(of))),
            }
        });
    format!(
        "swiglu {} {activation} {} {} {lhs} {rhs}",
        format(call),
        u8::from(call.sorted),
        arrays(given, &SWIGLU)
    )
}

fn combine(call: &Call, given: &[(&'static str, Array)], result: Float) -> Option<String> {
    let rounding = match call.word {
        "fma" | "fp32" => 0,
        "no_fma" | "fp32_no_fma" => 1,
        "exact" => 2,
        "native" => return None,
        other => panic!("no accumulate {other}"),
    };
    let weights = array(given, "weights").unwrap();
    Some(format!(
        "combine {} {rounding} {} {} {} {} {}",
        format(call),
        u8::from(weights.dtype == Dtype::F32),
        u8::from(result == Float::F32),
        arrays(given, &["h", "w", "scales", "biases"]),
        array(given, "rhs_indices").unwrap().index_words(),
        weights.words()
    ))
}

impl Evaluation {
    /// The launch on a kernel that has been compiled.
    pub fn launch<'k>(&self, kernel: &'k Kernel<'k>) -> Launch<'k> {
        let encoded = &self.encoded;
        let mut launch = Launch::new(kernel)
            .threadgroups(encoded.grid)
            .group([encoded.threads, 1, 1])
            .output(encoded.out, "out", self.out_bytes())
            .bytes(
                encoded.params.0,
                "params",
                Data::untyped(encoded.params.1.clone()),
            )
            .bytes(
                encoded.dims.0,
                "dims",
                Data::untyped(encoded.dims.1.clone()),
            );
        for ((name, array), index) in self.inputs.iter().zip(&encoded.inputs) {
            launch = launch.buffer(*index, name, Data::untyped(array.bytes.clone()));
        }
        for (index, value, is_bool) in &encoded.constants {
            launch = match is_bool {
                true => launch.constant(*index, Data::value(*value != 0)),
                false => launch.constant(*index, Data::value(*value)),
            };
        }
        launch
    }

    pub fn out_bytes(&self) -> u64 {
        (self.shape.iter().product::<usize>() * self.dtype.size()) as u64
    }

    pub fn kernel(&self, build: Build, numerics: Numerics) -> Kernel<'static> {
        let kernel = program(self.op).kernel(&self.encoded.kernel, build, numerics);
        kernel.unwrap_or_else(|e| panic!("{}: {e}", self.encoded.kernel))
    }

    /// The result in an outcome; faults in words.
    pub fn result(&self, outcome: Outcome) -> Result<Tensor, String> {
        if let Some(fault) = outcome.report.faults.first() {
            return Err(fault.to_string());
        }
        Ok(Tensor {
            dtype: self.dtype,
            shape: self.shape.clone(),
            bytes: outcome.buffers[&self.encoded.out].clone(),
        })
    }
}
