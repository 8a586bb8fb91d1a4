//! Work that is compiled for every backend, and done on one.

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};
use burn::tensor::{bf16, f16};

use crate::operations::Operations;
use crate::{ComputeDevice, Precision};

/// Something to be done on a device.
pub(crate) trait Work {
    /// What it gives.
    type Out;

    /// Does it.
    fn on<B: Operations>(self, device: &B::Device) -> Self::Out;
}

/// Does something on a device, with maps in such numbers. The CPU computes in `f32` alone.
pub(crate) fn work<W: Work>(work: W, device: ComputeDevice, precision: Precision) -> W::Out {
    match device {
        ComputeDevice::Cpu => work.on::<Flex>(&Default::default()),
        ComputeDevice::Cuda(number) => {
            let device = CudaDevice::new(number);
            match precision {
                Precision::F32 | Precision::Tf32 => work.on::<Cuda>(&device),
                Precision::F16 => work.on::<Cuda<f16>>(&device),
                Precision::Bf16 => work.on::<Cuda<bf16>>(&device),
            }
        }
        #[cfg(feature = "wgpu")]
        ComputeDevice::Wgpu(adapter) => {
            let device = adapter.device();
            match precision {
                Precision::F32 | Precision::Tf32 => work.on::<Wgpu>(&device),
                Precision::F16 => work.on::<Wgpu<f16>>(&device),
                Precision::Bf16 => work.on::<Wgpu<bf16>>(&device),
            }
        }
    }
}
