//! Where numbers are crunched, as a person asks for it.

use std::fmt;
use std::str::FromStr;

/// A device by name; the nodes find out whether it is there when they need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// GPUs where there are any, the CPU otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of that number, or all there are.
    Cuda(Option<usize>),
    /// The GPU of that number through Vulkan or Metal.
    Wgpu(usize),
}

/// A word that names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device: write auto, cpu, cuda, cuda:N, wgpu or wgpu:N")]
pub struct DeviceError(String);

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (family, number) = text.split_once(':').unwrap_or((text, "0"));
        let number = number.parse().ok();
        match (text, family, number) {
            ("auto", ..) => Ok(Self::Auto),
            ("cpu", ..) => Ok(Self::Cpu),
            ("cuda", ..) => Ok(Self::Cuda(None)),
            (_, "cuda", Some(number)) => Ok(Self::Cuda(Some(number))),
            (_, "wgpu", Some(number)) => Ok(Self::Wgpu(number)),
            _ => Err(DeviceError(text.to_owned())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(number)) => write!(f, "cuda:{number}"),
            Self::Wgpu(number) => write!(f, "wgpu:{number}"),
        }
    }
}
