//! Convolutions with one group, and dense layers.

use std::ops::Range;

use super::{Member, rows_of};
use crate::kernels::call::{Grid, Product, Source, Taps};
use crate::kernels::gemm::Epilogue;
use crate::kernels::memory::{Vectors, View};
use crate::kernels::{Kernels, LANES};

/// A convolution with one group, or a dense layer.
#[derive(Debug)]
pub(crate) struct Dense {
    /// The first tap of the first pixel.
    pub(crate) x: usize,
    /// Numbers from a row of the output to the next, in the input.
    pub(crate) x_row: usize,
    pub(crate) step: usize,
    pub(crate) taps: Taps,
    /// Whether rows of the input follow one another as their pixels do.
    pub(crate) is_flat: bool,
    pub(crate) weights: Weights,
    pub(crate) bias: Vectors,
    /// Blocks of output channels.
    pub(crate) blocks: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) out: Grid,
    pub(crate) residual: Option<Grid>,
    pub(crate) epilogue: Epilogue,
}

/// Where the weights of a product are.
#[derive(Debug)]
pub(crate) enum Weights {
    Own(Vectors),
    /// At this place of the memory: they depend on the photo.
    Scaled(usize),
}

impl Dense {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let (blocks, rows) = self.part(kernels, member);
        for block in blocks.step_by(kernels.panel) {
            let at = self.out.at + block * self.out.plane + rows.start * self.out.row;
            self.panel(view, kernels, block, rows.clone(), Grid { at, ..self.out });
        }
    }

    pub(super) fn owned(&self, kernels: &Kernels, member: Member) -> Vec<Range<usize>> {
        let (blocks, rows) = self.part(kernels, member);
        rows_of(self.out, blocks, rows, self.width)
    }

    /// Blocks of whole panels, and rows: whichever the busiest member has less of. A panel's weights are its own.
    fn part(&self, kernels: &Kernels, member: Member) -> (Range<usize>, Range<usize>) {
        let panels = self.blocks.div_ceil(kernels.panel);
        if panels * member.most(self.height) < member.most(panels) * self.height {
            return (0..self.blocks, member.part(self.height));
        }
        (blocks_of(member.part(panels), kernels, self.blocks), 0..self.height)
    }

    /// The blocks of one panel from `block` on, of some rows, to `out`.
    pub(super) fn panel(&self, view: &mut View<'_>, kernels: &Kernels, block: usize, rows: Range<usize>, out: Grid) {
        if rows.is_empty() {
            return;
        }
        let vectors = kernels.panel.min(self.blocks - block);
        let at = block * self.taps.count() * LANES;
        let weights = match &self.weights {
            Weights::Own(weights) => Source::Slice(&weights.numbers()[at..]),
            Weights::Scaled(place) => Source::Memory(place + at),
        };
        let (calls, width, height) =
            if self.is_flat { (1, self.width, rows.len()) } else { (rows.len(), self.width, 1) };
        for call in 0..calls {
            let y = rows.start + call;
            let residual = self
                .residual
                .map(|residual| Grid { at: residual.at + block * residual.plane + y * residual.row, ..residual });
            view.product(
                kernels,
                &Product {
                    x: self.x + y * self.x_row,
                    step: self.step,
                    taps: &self.taps,
                    weights,
                    bias: &self.bias.numbers()[block * LANES..],
                    vectors,
                    pixels: width * height,
                    width,
                    out: Grid { at: out.at + call * out.row, ..out },
                    residual,
                    epilogue: self.epilogue,
                },
            );
        }
    }
}

/// The blocks of some panels.
pub(super) fn blocks_of(panels: Range<usize>, kernels: &Kernels, blocks: usize) -> Range<usize> {
    panels.start * kernels.panel..blocks.min(panels.end * kernels.panel)
}
