//! Squeeze-excite.

use pipe_network::{Activation, Gate};

use crate::kernels::Kernels;
use crate::kernels::call::{self, Memory, Vectors};

/// Squeeze-excite, from the sums of the channels to scaled weights or a scaled map.
#[derive(Debug)]
pub(crate) struct Excite {
    pub(crate) pool: usize,
    pub(crate) pixels: usize,
    pub(crate) blocks: usize,
    pub(crate) squeezed: usize,
    pub(crate) activation: Activation,
    pub(crate) gate: Gate,
    pub(crate) squeeze: Vectors,
    pub(crate) squeeze_bias: Vectors,
    pub(crate) excite: Vectors,
    pub(crate) excite_bias: Vectors,
    pub(crate) between: usize,
    pub(crate) factors: usize,
    pub(crate) scales: Scales,
}

/// What squeeze-excite scales: whichever is smaller.
#[derive(Debug)]
pub(crate) enum Scales {
    /// The map at this place.
    Map(usize),
    /// The weights of the next convolution, so many inputs and blocks of outputs, to this place.
    Weights { weights: Vectors, inputs: usize, blocks: usize, to: usize },
}

impl Excite {
    pub(super) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        memory.excite(
            kernels,
            &call::Excite {
                blocks: self.blocks,
                squeezed: self.squeezed,
                activation: self.activation,
                gate: self.gate,
                pool: self.pool,
                pixels: self.pixels,
                squeeze: self.squeeze.numbers(),
                squeeze_bias: self.squeeze_bias.numbers(),
                excite: self.excite.numbers(),
                excite_bias: self.excite_bias.numbers(),
                between: self.between,
                out: self.factors,
            },
        );
        match &self.scales {
            Scales::Map(map) => memory.scale_map(kernels, *map, self.pixels, self.blocks, self.factors),
            Scales::Weights { weights, inputs, blocks, to } => {
                memory.scale_weights(kernels, weights.numbers(), *inputs, *blocks, self.factors, *to);
            }
        }
    }
}
