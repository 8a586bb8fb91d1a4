//! From the device that was asked for to one that is there.

use pipe_core::{Device, Failure};
use pipe_nn::ComputeDevice;

/// The device to compute on.
pub(crate) fn resolve(device: Device) -> Result<ComputeDevice, Failure> {
    match device {
        Device::Auto => Ok(ComputeDevice::best()),
        Device::Cpu => Ok(ComputeDevice::Cpu),
        Device::Cuda(number) => ComputeDevice::cuda(number).map_err(|missing| {
            Failure::new("pipe::device", format!("cannot use cuda:{number}: {missing}"))
                .help("run with --device cpu, or with --device auto to take a GPU only where there is one")
        }),
    }
}
