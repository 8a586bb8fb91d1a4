//! The devices: from the one that was asked for to one that is there, and what `pipe doctor` tells of them.

use std::thread::available_parallelism;
use std::{env, fs};

use pipe_core::{Check, CheckState, Checks, Device, Failure, Job};
use pipe_cpu::Isa;
use pipe_nn::{ComputeDevice, DeviceMissing, attempt, cuda_compiler, cuda_devices, keep_kernels, wgpu_devices};

/// For `pipe doctor`.
pub(crate) const CHECKS: Checks = Checks { look, attempt: try_out };

/// The devices to compute on, at least one, all of one kind.
pub(crate) fn resolve(job: &Job<'_>) -> Result<Vec<ComputeDevice>, Failure> {
    let devices = found(job.device).map_err(|missing| {
        Failure::new("pipe::device", format!("cannot use {}: {missing}", job.device))
            .help("run with --device cpu, or with --device auto to take a GPU only where there is one")
    })?;
    if devices != [ComputeDevice::Cpu] {
        // A store that may only be read leaves the finding out to each run.
        let kernels = job.store.root().join("kernels");
        let kernels = fs::create_dir_all(&kernels).map_or_else(|_| env::temp_dir().join("pipe-kernels"), |()| kernels);
        keep_kernels(&kernels);
    }
    Ok(devices)
}

fn found(device: Device) -> Result<Vec<ComputeDevice>, DeviceMissing> {
    match device {
        Device::Auto => Ok(ComputeDevice::best()),
        Device::Cpu => Ok(vec![ComputeDevice::Cpu]),
        Device::Cuda(None) => ComputeDevice::all_cuda(),
        Device::Cuda(Some(number)) => Ok(vec![ComputeDevice::cuda(number)?]),
        Device::Wgpu(number) => Ok(vec![ComputeDevice::wgpu(number)?]),
    }
}

/// In words.
pub(crate) fn names(devices: &[ComputeDevice]) -> String {
    devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn try_out(device: Device) -> Result<String, String> {
    let devices = found(device).map_err(|missing| missing.to_string())?;
    devices.first().map_or_else(|| Err("there is no device".to_owned()), |&device| attempt(device))
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
        let check =
            Check::new(format!("cuda:{number}"), CheckState::Good, &device.text).device(Device::Cuda(Some(number)));
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
