//! Layer normalisation.

use std::ops::Range;

use super::Member;
use crate::kernels::call::Grid;
use crate::kernels::memory::{Vectors, View};
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
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let width = self.size.1;
        for place in member.part(self.size.0 * width) {
            let at = |map: Grid| map.at + place / width * map.row + place % width * LANES;
            let (from, to) = (at(self.map), at(self.out));
            let (weight, bias) = (self.weight.numbers(), self.bias.numbers());
            view.layer_norm(kernels, (from, self.map.plane), (to, self.out.plane), self.epsilon, weight, bias);
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        let width = self.size.1;
        let places = member.part(self.size.0 * width);
        let at = |block: usize, place: usize| {
            self.out.at + block * self.out.plane + place / width * self.out.row + place % width * LANES
        };
        let blocks = (0..self.weight.numbers().len() / LANES).filter(|_| !places.is_empty());
        blocks.map(|block| at(block, places.start)..at(block, places.end - 1) + LANES).collect()
    }
}
