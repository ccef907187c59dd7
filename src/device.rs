//! The devices that a build can compute on.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One of them. The default is the one that people of this system use: on a Mac its GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    Cpu,
    /// The GPU, by Metal or CUDA.
    Gpu,
}

impl Default for Device {
    fn default() -> Self {
        match cfg!(target_os = "macos") {
            true => Device::Gpu,
            false => Device::Cpu,
        }
    }
}

impl Device {
    /// `cpu` or `gpu`, as MLX's tests take it in `DEVICE`.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Gpu => "gpu",
        }
    }

    /// Whether there are kernels of ours for it: on a GPU they are Metal's, so far.
    pub fn has_kernels(self) -> bool {
        self == Device::Cpu || cfg!(target_os = "macos")
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `cpu` or `gpu`.
    fn from_str(text: &str) -> Result<Self> {
        [Device::Cpu, Device::Gpu]
            .into_iter()
            .find(|device| device.name() == text)
            .ok_or_else(|| Error::usage(format!("\"{text}\" is no device")).hint("cpu or gpu"))
    }
}

impl From<Device> for mlx_fork_sys::Device {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu => mlx_fork_sys::Device::Cpu,
            Device::Gpu => mlx_fork_sys::Device::Gpu,
        }
    }
}
