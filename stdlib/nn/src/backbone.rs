//! A frozen network that turns images into features.

use std::fmt;
use std::sync::Arc;

use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};
use burn::tensor::backend::Backend;

use crate::forward::Forward;
use pipe_network::{Network, Weights};

use crate::ComputeDevice;

/// A frozen network on a device. Clones share it.
///
/// Behind a trait object, so that Burn is compiled into this crate alone.
#[derive(Clone)]
pub struct Backbone(Arc<dyn Frozen>);

trait Frozen: Send + Sync {
    fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32>;
    fn logits(&self, images: Vec<f32>, shape: [usize; 4]) -> (Vec<f32>, Option<Vec<f32>>);
}

impl<B: Backend> Frozen for Forward<B> {
    fn features(&self, images: Vec<f32>, shape: [usize; 4]) -> Vec<f32> {
        self.features(images, shape)
    }

    fn logits(&self, images: Vec<f32>, shape: [usize; 4]) -> (Vec<f32>, Option<Vec<f32>>) {
        self.run(images, shape)
    }
}

impl Backbone {
    /// Puts a network with its weights on a device.
    pub fn new(network: &Network, weights: &Weights, device: ComputeDevice) -> Self {
        match device {
            ComputeDevice::Cpu => Self(Arc::new(Forward::<Flex>::new(network, weights, &Default::default()))),
            ComputeDevice::Cuda(number) => {
                Self(Arc::new(Forward::<Cuda>::new(network, weights, &CudaDevice::new(number))))
            }
        }
    }

    /// The features of `count` images, `[count, features]` row-major.
    ///
    /// `images` is `[count, 3, height, width]` row-major, normalised as the weights want it.
    pub fn features(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> Vec<f32> {
        self.0.features(images, [count, 3, height, width])
    }

    /// Features as [`Backbone::features`], and logits `[count, classes]` where the weights have a
    /// classifier.
    pub fn logits(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> (Vec<f32>, Option<Vec<f32>>) {
        self.0.logits(images, [count, 3, height, width])
    }
}

impl fmt::Debug for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backbone")
    }
}
