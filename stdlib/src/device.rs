//! The devices: from the one that was asked for to one that is there, and what `pipe doctor` tells of them.

use std::fs;
use std::thread::available_parallelism;

use pipe_core::{Check, CheckState, Checks, Device, Failure};
use pipe_cpu::Isa;
use pipe_nn::{ComputeDevice, DeviceMissing, attempt, cuda_compiler, cuda_devices, wgpu_devices};

/// For `pipe doctor`.
pub(crate) const CHECKS: Checks = Checks { look, attempt: try_out };

/// The device to compute on.
pub(crate) fn resolve(device: Device) -> Result<ComputeDevice, Failure> {
    found(device).map_err(|missing| {
        Failure::new("pipe::device", format!("cannot use {device}: {missing}"))
            .help("run with --device cpu, or with --device auto to take a GPU only where there is one")
    })
}

fn found(device: Device) -> Result<ComputeDevice, DeviceMissing> {
    match device {
        Device::Auto => Ok(ComputeDevice::best()),
        Device::Cpu => Ok(ComputeDevice::Cpu),
        Device::Cuda(number) => ComputeDevice::cuda(number),
        Device::Wgpu(number) => ComputeDevice::wgpu(number),
    }
}

fn try_out(device: Device) -> Result<String, String> {
    attempt(found(device).map_err(|missing| missing.to_string())?)
}

fn look() -> Vec<Check> {
    let mut checks = vec![cpu()];
    checks.extend(cuda());
    checks.extend(wgpu());
    checks
}

fn cpu() -> Check {
    let cores = available_parallelism().map_or(1, usize::from);
    let line = |file: &str, key: &str| -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let mut text = format!("{cores} cores, kernels for {}", Isa::best());
    if let Some(name) = line("/proc/cpuinfo", "model name") {
        text = format!("{name}, {text}");
    }
    let kilobytes = line("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    if let Some(kilobytes) = kilobytes {
        text = format!("{text}, {:.0} GiB of memory", kilobytes / f64::from(1 << 20));
    }
    Check::new("cpu", CheckState::Good, text)
}

fn cuda() -> Vec<Check> {
    let devices = match cuda_devices() {
        Ok(devices) => devices,
        Err(missing) => return vec![Check::new("cuda", CheckState::Absent, missing.to_string())],
    };
    if devices.is_empty() {
        return vec![Check::new("cuda", CheckState::Absent, "the NVIDIA driver knows no GPU")];
    }
    let compiler = cuda_compiler();
    let check = |(number, device): (usize, &pipe_nn::DeviceInfo)| {
        let check = Check::new(format!("cuda:{number}"), CheckState::Good, &device.text).device(Device::Cuda(number));
        match &compiler {
            Ok(()) => check,
            Err(missing) => Check { state: CheckState::Broken, ..check }.help(missing.to_string()),
        }
    };
    devices.iter().enumerate().map(check).collect()
}

fn wgpu() -> Vec<Check> {
    match wgpu_devices() {
        Ok(devices) => {
            let check = |(number, device): (usize, &pipe_nn::DeviceInfo)| {
                Check::new(format!("wgpu:{number}"), CheckState::Good, &device.text).device(Device::Wgpu(number))
            };
            devices.iter().enumerate().map(check).collect()
        }
        Err(missing) => vec![Check::new("wgpu", CheckState::Absent, missing.to_string())],
    }
}
