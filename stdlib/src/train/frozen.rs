//! The frozen blocks of a network on the CPU, which need no gradients there.

use pipe_core::ItemError;
use pipe_network::{Network, Weights};

use crate::features::{Normalize, OnCpu};
use crate::preprocess::Pixels;

/// The first blocks of a network, and what is left to train.
pub(super) struct Frozen {
    first: OnCpu,
    network: Network,
    weights: Weights,
    /// What takes the maps of the first blocks.
    pub(super) rest: Network,
}

impl Frozen {
    /// The first `freeze` blocks, for images of that side; `None` where there are none, or none that the CPU
    /// has kernels for.
    pub(super) fn new(
        network: &Network,
        weights: &Weights,
        normalize: &Normalize,
        freeze: usize,
        side: usize,
    ) -> Option<Self> {
        let [first, rest] = network.cut(freeze);
        let mut kept = Weights::default();
        for spec in first.tensors() {
            kept.insert(&spec.name, &spec.shape, weights.numbers(&spec.name).to_vec());
        }
        let on_cpu = OnCpu::new(first.clone(), kept.clone(), normalize);
        let is_taken = !first.trunk.is_empty() && on_cpu.takes(side, side);
        is_taken.then_some(Self { first: on_cpu, network: first, weights: kept, rest })
    }

    /// The maps of an image, `[height, width, channels]` row-major.
    pub(super) fn maps(&self, image: &Pixels) -> Result<Vec<f32>, ItemError> {
        self.first.features(image)
    }

    /// Height and width of the maps of an image.
    pub(super) fn size(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        self.network.feature_map(height, width).map(|[_, height, width]| [height, width])
    }

    /// All of the network's weights, from those that were trained.
    pub(super) fn with(&self, mut trained: Weights) -> Weights {
        trained.extend(self.weights.clone());
        trained
    }
}
