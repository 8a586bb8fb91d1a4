//! The devices that networks run on, found at run time.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use pipe_gpu::Products;

use crate::info::{DeviceInfo, DeviceMissing};
use crate::{Precision, driver};

/// The oldest driver that Burn's CUDA works with, as the driver counts: CUDA 12.0.
const OLDEST_CUDA: i32 = 12_000;

/// A device that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComputeDevice {
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of that number.
    Cuda(usize),
    /// The GPU of that number through Vulkan or Metal.
    #[cfg(feature = "wgpu")]
    Wgpu(crate::adapter::Adapter),
}

impl ComputeDevice {
    /// The NVIDIA GPU of that number.
    ///
    /// # Errors
    /// Why it cannot be used, and what to install.
    pub fn cuda(number: usize) -> Result<Self, DeviceMissing> {
        let devices = cuda_devices()?.len();
        if number >= devices {
            return Err(DeviceMissing(format!("there is no GPU {number}: the driver counts {devices}")));
        }
        // Once: later, what this process itself took would look like others' use.
        static TRIED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
        let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        if !tried.contains(&number) {
            driver::try_context(number).map_err(DeviceMissing)?;
            tried.insert(number);
        }
        drop(tried);
        driver::cuda_compiler().map_err(DeviceMissing)?;
        Ok(Self::Cuda(number))
    }

    /// All NVIDIA GPUs that can be used.
    ///
    /// # Errors
    /// Why none can.
    pub fn all_cuda() -> Result<Vec<Self>, DeviceMissing> {
        let each: Vec<_> = (0..cuda_devices()?.len()).map(Self::cuda).collect();
        let nothing = || DeviceMissing("the NVIDIA driver knows no GPU".to_owned());
        let why = each.iter().find_map(|device| device.as_ref().err().cloned()).unwrap_or_else(nothing);
        let usable: Vec<Self> = each.into_iter().flatten().collect();
        if usable.is_empty() { Err(why) } else { Ok(usable) }
    }

    /// The GPU of that number among those that Vulkan or Metal know.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn wgpu(number: usize) -> Result<Self, DeviceMissing> {
        #[cfg(not(feature = "wgpu"))]
        return Err(DeviceMissing(format!(
            "wgpu:{number} is not part of this build: `cargo build --release --features wgpu` makes one with it"
        )));
        #[cfg(feature = "wgpu")]
        crate::adapter::adapter(number).map(Self::Wgpu)
    }

    /// The bytes of its memory, where it is a GPU and they are known.
    pub fn memory(self) -> Option<u64> {
        match self {
            Self::Cuda(number) => cuda_devices().ok()?.get(number)?.memory,
            _ => None,
        }
    }

    /// Whether its tensor cores round `f32` to TF32: NVIDIA's since Ampere.
    pub(crate) fn has_tf32(self) -> bool {
        let Self::Cuda(number) = self else { return false };
        let device = driver::look().ok().and_then(|driver| driver.devices.get(number));
        device.is_some_and(|device| device.capability >= (8, 0))
    }

    /// What a network computes in where that is asked for: the CPU has `f32` alone.
    pub(crate) fn precision(self, wanted: Precision) -> Precision {
        if self == Self::Cpu { Precision::F32 } else { wanted }
    }

    /// In which numbers, and by which kernels, factors are multiplied.
    pub(crate) fn products(self, precision: Precision) -> Products {
        match (self, precision) {
            #[cfg(feature = "wgpu")]
            (Self::Wgpu(adapter), _) if adapter.is_software() => Products::Plain,
            (_, Precision::F32) => Products::Exact,
            _ => Products::Rounded,
        }
    }

    /// The GPUs, or the CPU where there are none: all of NVIDIA's, or else the first that is not a program.
    pub fn best() -> Vec<Self> {
        let real = |infos: Vec<DeviceInfo>| infos.iter().position(|info| !info.is_software);
        let wgpu = || Some(vec![Self::wgpu(wgpu_devices().ok().and_then(real)?).ok()?]);
        Self::all_cuda().ok().or_else(wgpu).unwrap_or_else(|| vec![Self::Cpu])
    }
}

/// The NVIDIA GPUs, in their order.
///
/// # Errors
/// Why there are none: no driver, or one that is too old.
pub fn cuda_devices() -> Result<Vec<DeviceInfo>, DeviceMissing> {
    let driver = driver::look().map_err(DeviceMissing)?;
    if driver.cuda < OLDEST_CUDA {
        let version = |number: i32| format!("{}.{}", number / 1000, number % 1000 / 10);
        let (has, needs) = (version(driver.cuda), version(OLDEST_CUDA));
        return Err(DeviceMissing(format!("the NVIDIA driver knows CUDA {has}, and {needs} is needed: update it")));
    }
    let info = |device: &driver::Device| DeviceInfo {
        text: device.to_string(),
        memory: Some(device.memory),
        is_software: false,
    };
    Ok(driver.devices.iter().map(info).collect())
}

/// The GPUs that Vulkan or Metal know, in their order.
///
/// # Errors
/// Why there are none.
pub fn wgpu_devices() -> Result<Vec<DeviceInfo>, DeviceMissing> {
    #[cfg(not(feature = "wgpu"))]
    return Err(DeviceMissing("not part of this build (cargo feature `wgpu`)".into()));
    #[cfg(feature = "wgpu")]
    crate::adapter::devices()
}

/// What is missing for kernels to be compiled at run time on NVIDIA GPUs.
///
/// # Errors
/// The library or the headers, and the package that brings them.
pub fn cuda_compiler() -> Result<(), DeviceMissing> {
    driver::cuda_compiler().map_err(DeviceMissing)
}

impl fmt::Display for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(adapter) => write!(f, "wgpu:{}", adapter.number),
        }
    }
}
