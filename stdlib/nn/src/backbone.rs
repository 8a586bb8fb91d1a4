//! A frozen network that turns images into features.

use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};

use crate::forward::Forward;
use crate::{ComputeDevice, Network, Weights};

/// A frozen network on a device. Clones share their weights.
#[derive(Debug, Clone)]
pub struct Backbone(Placed);

#[derive(Debug, Clone)]
enum Placed {
    Cpu(Box<Forward<Flex>>),
    Cuda(Box<Forward<Cuda>>),
}

impl Backbone {
    /// Puts a network with its weights on a device.
    pub fn new(network: &Network, weights: &Weights, device: ComputeDevice) -> Self {
        Self(match device {
            ComputeDevice::Cpu => Placed::Cpu(Box::new(Forward::new(network, weights, &Default::default()))),
            ComputeDevice::Cuda(number) => {
                Placed::Cuda(Box::new(Forward::new(network, weights, &CudaDevice::new(number))))
            }
        })
    }

    /// The features of `count` images, `[count, features]` row-major.
    ///
    /// `images` is `[count, 3, height, width]` row-major, normalised as the weights want it.
    pub fn features(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> Vec<f32> {
        let shape = [count, 3, height, width];
        match &self.0 {
            Placed::Cpu(forward) => forward.features(images, shape),
            Placed::Cuda(forward) => forward.features(images, shape),
        }
    }

    /// Features as [`Backbone::features`], and logits `[count, classes]` where the weights have a
    /// classifier.
    pub fn logits(&self, images: Vec<f32>, count: usize, height: usize, width: usize) -> (Vec<f32>, Option<Vec<f32>>) {
        let shape = [count, 3, height, width];
        match &self.0 {
            Placed::Cpu(forward) => forward.run(images, shape),
            Placed::Cuda(forward) => forward.run(images, shape),
        }
    }
}
