//! The devices that networks run on, found at run time.

use std::fmt;

use crate::driver;

/// A device that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComputeDevice {
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of that number.
    Cuda(usize),
}

/// Why a GPU cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceMissing(String);

impl ComputeDevice {
    /// The NVIDIA GPU of that number.
    ///
    /// # Errors
    /// Why it cannot be used, and what to install.
    pub fn cuda(number: usize) -> Result<Self, DeviceMissing> {
        let devices = driver::cuda_devices().map_err(DeviceMissing)?;
        if number >= devices {
            return Err(DeviceMissing(format!("there is no GPU {number}: the driver counts {devices}")));
        }
        driver::cuda_compiler().map_err(DeviceMissing)?;
        Ok(Self::Cuda(number))
    }

    /// The first GPU, or the CPU where there is none.
    pub fn best() -> Self {
        Self::cuda(0).unwrap_or(Self::Cpu)
    }
}

impl fmt::Display for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}
