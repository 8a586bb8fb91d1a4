//! Layer normalisation.

use crate::kernels::call::{Grid, Memory, Vectors};
use crate::kernels::{Kernels, LANES};

#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub(crate) map: Grid,
    pub(crate) size: (usize, usize),
    pub(crate) out: Grid,
    pub(crate) epsilon: f32,
    pub(crate) weight: Vectors,
    pub(crate) bias: Vectors,
}

impl LayerNorm {
    pub(super) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        for y in 0..self.size.0 {
            for x in 0..self.size.1 {
                let from = self.map.at + y * self.map.row + x * LANES;
                let to = self.out.at + y * self.out.row + x * LANES;
                let (weight, bias) = (self.weight.numbers(), self.bias.numbers());
                memory.layer_norm(kernels, (from, self.map.plane), (to, self.out.plane), self.epsilon, weight, bias);
            }
        }
    }
}
