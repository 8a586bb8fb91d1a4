//! Depthwise convolutions, with what feeds them.

use std::ops::Range;

use pipe_network::Activation;

use super::dense::{Dense, blocks_of};
use super::{Member, rows_of};
use crate::kernels::call::{Grid, Row};
use crate::kernels::memory::{Vectors, View};
use crate::kernels::{Kernels, LANES, depthwise};

/// A depthwise convolution, with what makes its input where that is made row by row.
#[derive(Debug)]
pub(crate) struct Depthwise {
    pub(crate) input: Input,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// `[blocks][kernel x kernel][16]`.
    pub(crate) weights: Vectors,
    pub(crate) bias: Vectors,
    pub(crate) blocks: usize,
    pub(crate) activation: Activation,
    pub(crate) out: Grid,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Where the sums of the output's channels go.
    pub(crate) pool: Option<usize>,
}

/// Where a depthwise convolution reads.
#[derive(Debug)]
pub(crate) enum Input {
    /// From a map with zeros around it: the first place of the first pixel's kernel.
    Map(Grid),
    /// From a ring of rows that are made as they are needed, a panel of channels at a time.
    Ring(Box<Ring>),
}

/// A few rows of a map, with zeros on their left and right.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) producer: Dense,
    pub(crate) at: usize,
    /// Numbers of a row, and of a block.
    pub(crate) row: usize,
    pub(crate) plane: usize,
    /// Rows that fit.
    pub(crate) slots: usize,
    /// Rows that are made at once: one or all.
    pub(crate) chunk: usize,
    /// Places left and right of a row, and above the map.
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) top: usize,
}

impl Depthwise {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let (blocks, lines) = self.part(kernels, member);
        if let Some(pool) = self.pool {
            view.own(pool + blocks.start * LANES..pool + blocks.end * LANES).fill(0.0);
        }
        match &self.input {
            Input::Map(map) => {
                for block in blocks {
                    for y in lines.clone() {
                        let mut rows = [0; depthwise::LARGEST];
                        for (ky, row) in rows.iter_mut().take(self.kernel).enumerate() {
                            *row = map.at + block * map.plane + (y * self.stride + ky) * map.row;
                        }
                        self.row(view, kernels, block, y, rows, 0..self.kernel);
                    }
                }
            }
            Input::Ring(ring) if !blocks.is_empty() && !lines.is_empty() => {
                self.through(ring, member.room(ring.at), view, kernels, blocks, lines);
            }
            Input::Ring(_) => {}
        }
    }

    pub(super) fn owned(&self, kernels: &Kernels, member: Member) -> Vec<Range<usize>> {
        let (blocks, rows) = self.part(kernels, member);
        let pool = self.pool.map(|pool| pool + blocks.start * LANES..pool + blocks.end * LANES);
        let ring = match &self.input {
            Input::Map(_) => None,
            Input::Ring(ring) => {
                let at = member.room(ring.at);
                Some(at..at + self.room(kernels))
            }
        };
        rows_of(self.out, blocks, rows, self.width).into_iter().chain(pool).chain(ring).collect()
    }

    /// The numbers of a ring.
    pub(super) fn room(&self, kernels: &Kernels) -> usize {
        match &self.input {
            Input::Map(_) => 0,
            Input::Ring(ring) => kernels.panel.min(self.blocks) * ring.plane,
        }
    }

    /// Blocks, of whole panels where a ring feeds them, and rows. Sums of channels are made row by row,
    /// in one order: such channels are not shared. Rows of a ring are made anew where two parts meet.
    fn part(&self, kernels: &Kernels, member: Member) -> (Range<usize>, Range<usize>) {
        let (units, is_whole) = match &self.input {
            Input::Map(_) => (self.blocks, false),
            Input::Ring(ring) => (self.blocks.div_ceil(kernels.panel), ring.chunk > 1),
        };
        // The rows of a panel that the busiest member goes through, either way.
        let rows = units * (member.most(self.height) * self.stride + self.kernel);
        if self.pool.is_none() && !is_whole && rows < member.most(units) * self.height * self.stride {
            return (0..self.blocks, member.part(self.height));
        }
        let blocks = match &self.input {
            Input::Map(_) => member.part(units),
            Input::Ring(_) => blocks_of(member.part(units), kernels, self.blocks),
        };
        (blocks, 0..self.height)
    }

    /// Makes rows of the input as they are needed, a panel of channels at a time: they stay in the
    /// nearest cache. The ring lies at `at`.
    fn through(
        &self,
        ring: &Ring,
        at: usize,
        view: &mut View<'_>,
        kernels: &Kernels,
        blocks: Range<usize>,
        lines: Range<usize>,
    ) {
        let height = ring.producer.height;
        let numbers = view.own(at..at + self.room(kernels));
        for row in numbers.chunks_exact_mut(ring.row) {
            row[..ring.left * LANES].fill(0.0);
            row[ring.row - ring.right * LANES..].fill(0.0);
        }
        for panel in blocks.clone().step_by(kernels.panel) {
            let mut made = (lines.start * self.stride).saturating_sub(ring.top);
            for y in lines.clone() {
                // Rows of the input that the kernel covers, the first counted from above the map.
                let top = y * self.stride;
                let first = ring.top.saturating_sub(top);
                let last = self.kernel.min(height + ring.top - top);
                while made < top + last - ring.top {
                    let chunk = ring.chunk.min(height - made);
                    let slot = at + made % ring.slots * ring.row + ring.left * LANES;
                    let out = Grid { at: slot, row: ring.row, plane: ring.plane };
                    ring.producer.panel(view, kernels, panel, made..made + chunk, out);
                    made += chunk;
                }
                for block in panel..blocks.end.min(panel + kernels.panel) {
                    let mut rows = [0; depthwise::LARGEST];
                    for (ky, row) in rows.iter_mut().enumerate().take(last).skip(first) {
                        let slot = (top + ky - ring.top) % ring.slots;
                        *row = at + (block - panel) * ring.plane + slot * ring.row;
                    }
                    self.row(view, kernels, block, y, rows, first..last);
                }
            }
        }
    }

    fn row(
        &self,
        view: &mut View<'_>,
        kernels: &Kernels,
        block: usize,
        y: usize,
        rows: [usize; depthwise::LARGEST],
        inside: Range<usize>,
    ) {
        view.depthwise(
            kernels,
            &Row {
                kernel: self.kernel,
                stride: self.stride,
                rows,
                first: inside.start,
                last: inside.end,
                weights: &self.weights.numbers()[block * self.kernel * self.kernel * LANES..],
                bias: &self.bias.numbers()[block * LANES..],
                out: self.out.at + block * self.out.plane + y * self.out.row,
                width: self.width,
                pool: self.pool.map(|pool| pool + block * LANES),
                activation: self.activation,
            },
        );
    }
}
