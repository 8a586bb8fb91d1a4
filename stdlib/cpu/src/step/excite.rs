//! Squeeze-excite.

use std::ops::Range;

use pipe_network::Activation;

use super::dense::blocks_of;
use super::{Member, units_of};
use crate::kernels::call;
use crate::kernels::memory::{Vectors, View};
use crate::kernels::{Kernels, LANES};

/// Squeeze-excite, from the sums of the channels to their factors.
#[derive(Debug)]
pub(crate) struct Excite {
    pub(crate) pool: usize,
    pub(crate) pixels: usize,
    pub(crate) blocks: usize,
    pub(crate) squeezed: usize,
    pub(crate) activation: Activation,
    pub(crate) gate: Activation,
    pub(crate) squeeze: Vectors,
    pub(crate) squeeze_bias: Vectors,
    pub(crate) excite: Vectors,
    pub(crate) excite_bias: Vectors,
    pub(crate) between: usize,
    pub(crate) factors: usize,
}

/// Multiplies by the factors.
#[derive(Debug)]
pub(crate) struct Scale {
    pub(crate) factors: usize,
    pub(crate) scaled: Scaled,
}

/// What squeeze-excite scales: whichever is smaller.
#[derive(Debug)]
pub(crate) enum Scaled {
    /// The map at this place, so many pixels of so many blocks.
    Map { at: usize, pixels: usize, blocks: usize },
    /// The weights of the next convolution, so many inputs and blocks of outputs, to this place.
    Weights { weights: Vectors, inputs: usize, blocks: usize, to: usize },
}

impl Excite {
    /// Every sum goes into every factor: they are few, and the first member makes them all.
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        if !member.is_first() {
            return;
        }
        view.excite(
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
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        if !member.is_first() {
            return Vec::new();
        }
        let squeezed = self.between..self.between + self.squeezed.next_multiple_of(LANES);
        vec![squeezed, self.factors..self.factors + self.blocks * LANES]
    }
}

impl Scale {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let blocks = self.part(kernels, member);
        match &self.scaled {
            _ if blocks.is_empty() => {}
            Scaled::Map { at, pixels, .. } => {
                let (map, factors) = (at + blocks.start * pixels * LANES, self.factors + blocks.start * LANES);
                view.scale_map(kernels, map, *pixels, blocks.len(), factors);
            }
            Scaled::Weights { weights, inputs, to, .. } => {
                let from = blocks.start * inputs * LANES;
                view.scale_weights(kernels, &weights.numbers()[from..], *inputs, blocks.len(), self.factors, to + from);
            }
        }
    }

    pub(super) fn owned(&self, kernels: &Kernels, member: Member) -> Vec<Range<usize>> {
        let blocks = self.part(kernels, member);
        let (at, numbers) = match &self.scaled {
            Scaled::Map { at, pixels, .. } => (*at, pixels * LANES),
            Scaled::Weights { inputs, to, .. } => (*to, inputs * LANES),
        };
        units_of(at, blocks, numbers)
    }

    /// Blocks, of weights those of whole panels.
    fn part(&self, kernels: &Kernels, member: Member) -> Range<usize> {
        match &self.scaled {
            Scaled::Map { blocks, .. } => member.part(*blocks),
            Scaled::Weights { blocks, .. } => blocks_of(member.part(blocks.div_ceil(kernels.panel)), kernels, *blocks),
        }
    }
}
