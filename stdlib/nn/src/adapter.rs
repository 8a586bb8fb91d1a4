//! Asks Vulkan or Metal what is there, before Burn touches it: Burn panics where there is nothing.

use burn::backend::wgpu::WgpuDevice;
use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

use crate::info::{DeviceInfo, DeviceMissing};

/// What Burn takes by itself on this system, and its name.
const BACKENDS: Backends = if IS_METAL { Backends::METAL } else { Backends::VULKAN };
const API: &str = if IS_METAL { "Metal" } else { "Vulkan" };
const IS_METAL: bool = cfg!(target_os = "macos");

/// A GPU by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adapter {
    pub(crate) number: usize,
    /// What Burn counts it among, and as which of them.
    family: Family,
    place: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Discrete,
    Integrated,
    Virtual,
    Software,
}

impl Adapter {
    /// Whether a program plays it.
    pub(crate) fn is_software(self) -> bool {
        self.family == Family::Software
    }

    pub(crate) fn device(self) -> WgpuDevice {
        match self.family {
            Family::Discrete => WgpuDevice::DiscreteGpu(self.place),
            Family::Integrated => WgpuDevice::IntegratedGpu(self.place),
            Family::Virtual => WgpuDevice::VirtualGpu(self.place),
            Family::Software => WgpuDevice::Cpu,
        }
    }
}

pub(crate) fn adapter(number: usize) -> Result<Adapter, DeviceMissing> {
    let all = all()?;
    let missing = || DeviceMissing(format!("there is no GPU {number}: {} are known", all.len()));
    all.get(number).map(|(adapter, _)| *adapter).ok_or_else(missing)
}

pub(crate) fn devices() -> Result<Vec<DeviceInfo>, DeviceMissing> {
    Ok(all()?.into_iter().map(|(_, info)| info).collect())
}

/// Every adapter that Burn can take, with what is known of it.
fn all() -> Result<Vec<(Adapter, DeviceInfo)>, DeviceMissing> {
    let instance =
        Instance::new(InstanceDescriptor { backends: BACKENDS, ..InstanceDescriptor::new_without_display_handle() });
    let mut found: Vec<(Adapter, DeviceInfo)> = Vec::new();
    for adapter in pollster::block_on(instance.enumerate_adapters(BACKENDS)) {
        let info = adapter.get_info();
        let family = match info.device_type {
            DeviceType::DiscreteGpu => Family::Discrete,
            DeviceType::IntegratedGpu => Family::Integrated,
            DeviceType::VirtualGpu => Family::Virtual,
            DeviceType::Cpu => Family::Software,
            DeviceType::Other => continue,
        };
        let place = found.iter().filter(|(adapter, _)| adapter.family == family).count();
        let is_software = family == Family::Software;
        let text = format!("{}, {API}{}", info.name, if is_software { ", no real GPU" } else { "" });
        // Burn takes the first of these alone.
        if !is_software || place == 0 {
            found
                .push((Adapter { number: found.len(), family, place }, DeviceInfo { text, memory: None, is_software }));
        }
    }
    if found.is_empty() {
        let package =
            if cfg!(target_os = "linux") { "; a driver comes with mesa-vulkan-drivers or NVIDIA's" } else { "" };
        return Err(DeviceMissing(format!("no GPU is known to {API}{package}")));
    }
    Ok(found)
}
