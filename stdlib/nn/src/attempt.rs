//! Whether a device computes.

use std::time::Instant;

use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::ComputeDevice;

/// The side of the matrices.
const SIDE: usize = 64;

/// Multiplies two small matrices of whole numbers on a device and checks every number. Burn may abort
/// the process where the device does not work.
///
/// # Errors
/// When the product is wrong.
pub fn attempt(device: ComputeDevice) -> Result<String, String> {
    let began = Instant::now();
    let found = match device {
        ComputeDevice::Cpu => product::<Flex>(&Default::default()),
        ComputeDevice::Cuda(number) => product::<Cuda>(&CudaDevice::new(number)),
        #[cfg(feature = "wgpu")]
        ComputeDevice::Wgpu(adapter) => product::<burn::backend::Wgpu>(&adapter.device()),
    };
    let (a, b) = matrices();
    let row = |row: usize, column: usize| (0..SIDE).map(|k| a[row * SIDE + k] * b[k * SIDE + column]).sum::<f32>();
    let expected: Vec<f32> = (0..SIDE * SIDE).map(|at| row(at / SIDE, at % SIDE)).collect();
    if found == expected {
        Ok(format!("kernels run (first product after {:.1} s)", began.elapsed().as_secs_f64()))
    } else {
        Err("the product of two matrices is wrong".to_owned())
    }
}

/// Small whole numbers, whose products even half precision has exactly.
fn matrices() -> (Vec<f32>, Vec<f32>) {
    let numbers = |step: usize| (0..SIDE * SIDE).map(|at| ((at * step) % 5) as f32 - 2.0).collect();
    (numbers(7), numbers(3))
}

fn product<B: Backend>(device: &B::Device) -> Vec<f32> {
    let (a, b) = matrices();
    let tensor = |numbers: Vec<f32>| Tensor::<B, 2>::from_data(TensorData::new(numbers, [SIDE, SIDE]), device);
    tensor(a).matmul(tensor(b)).into_data().convert::<f32>().into_vec().unwrap_or_default()
}
