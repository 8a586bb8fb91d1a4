//! Work that is compiled for every backend, and done on one.

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};

use crate::ComputeDevice;
use crate::operations::Operations;

/// Something to be done on a device.
pub(crate) trait Work {
    /// What it gives.
    type Out;

    /// Does it.
    fn on<B: Operations>(self, device: &B::Device) -> Self::Out;
}

/// Does something on a device.
///
/// Maps in other numbers than `f32` are cast: a backend of such numbers would make those of all that uses its device
/// afterwards the same.
pub(crate) fn work<W: Work>(work: W, device: ComputeDevice) -> W::Out {
    match device {
        ComputeDevice::Cpu => work.on::<Flex>(&Default::default()),
        ComputeDevice::Cuda(number) => work.on::<Cuda>(&CudaDevice::new(number)),
        #[cfg(feature = "wgpu")]
        ComputeDevice::Wgpu(adapter) => work.on::<Wgpu>(&adapter.device()),
    }
}
