//! Whether a device computes.

use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use pipe_gpu::Products;

use crate::operations::Operations;
use crate::work::{Work, work};
use crate::{ComputeDevice, Precision};

/// The side of the matrices.
const SIDE: usize = 64;

/// Multiplies two small matrices of whole numbers on a device and checks every number. Burn may abort
/// the process where the device does not work.
///
/// # Errors
/// When the product is wrong.
pub fn attempt(device: ComputeDevice) -> Result<String, String> {
    let began = Instant::now();
    let found = work(Product(device.products(Precision::F32)), device);
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

struct Product(Products);

impl Work for Product {
    type Out = Vec<f32>;

    fn on<B: Operations>(self, device: &B::Device) -> Vec<f32> {
        let (a, b) = matrices();
        let tensor = |numbers: Vec<f32>| Tensor::<B, 2>::from_data(TensorData::new(numbers, [SIDE, SIDE]), device);
        B::dense(tensor(a), tensor(b), self.0).into_data().convert::<f32>().into_vec().unwrap_or_default()
    }
}
