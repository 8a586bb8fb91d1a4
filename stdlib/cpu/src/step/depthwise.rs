//! Depthwise convolutions, with what feeds them.

use std::ops::Range;

use pipe_network::Activation;

use super::dense::{Dense, blocks_of};
use super::{Member, rows_of, units_of};
use crate::kernels::call::{Grid, Row};
use crate::kernels::memory::{Vectors, View};
use crate::kernels::{Kernels, LANES, depthwise};

/// A depthwise convolution, with what makes its input where that is made row by row.
#[derive(Debug)]
pub(crate) struct Depthwise {
    pub(crate) input: Input,
    pub(crate) split: Split,
    /// `[blocks][kernel x kernel][16]`.
    pub(crate) weights: Vectors,
    pub(crate) bias: Vectors,
    pub(crate) blocks: usize,
    pub(crate) activation: Activation,
    pub(crate) out: Grid,
    pub(crate) width: usize,
    /// Where the sums of the output's channels go.
    pub(crate) pool: Option<usize>,
}

/// What decides how threads share a depthwise convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    /// Blocks of channels, or panels of them where a ring feeds them.
    pub(crate) units: usize,
    /// Rows of the output.
    pub(crate) height: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Whether all rows of the input are made at once.
    pub(crate) is_whole: bool,
}

impl Split {
    /// Whether rows are shared and not channels: where the busiest member has less to do then. Rows of a
    /// ring are made anew where two parts meet.
    fn is_by_rows(self, member: Member) -> bool {
        let rows = self.units * (member.most(self.height) * self.stride + self.kernel);
        !self.is_whole && rows < member.most(self.units) * self.height * self.stride
    }
}

/// The sums of a depthwise convolution's channels, where its rows were shared: they are made in one
/// order, which no member alone can keep.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) split: Split,
    pub(crate) map: Grid,
    pub(crate) width: usize,
    pub(crate) blocks: usize,
    pub(crate) out: usize,
}

impl Sums {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        for block in self.part(member) {
            let map = Grid { at: self.map.at + block * self.map.plane, ..self.map };
            view.sum(kernels, map, (self.split.height, self.width), self.out + block * LANES);
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        units_of(self.out, self.part(member), LANES)
    }

    fn part(&self, member: Member) -> Range<usize> {
        if self.split.is_by_rows(member) { member.part(self.blocks) } else { 0..0 }
    }
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
        if let Some(pool) = self.pool_of(member) {
            view.own(pool + blocks.start * LANES..pool + blocks.end * LANES).fill(0.0);
        }
        match &self.input {
            Input::Map(map) => {
                for block in blocks {
                    for y in lines.clone() {
                        let mut rows = [0; depthwise::LARGEST];
                        for (ky, row) in rows.iter_mut().take(self.split.kernel).enumerate() {
                            *row = map.at + block * map.plane + (y * self.split.stride + ky) * map.row;
                        }
                        self.row(view, kernels, (block, y), rows, 0..self.split.kernel, self.pool_of(member));
                    }
                }
            }
            Input::Ring(ring) => self.through(ring, member, view, kernels, blocks, lines),
        }
    }

    pub(super) fn owned(&self, kernels: &Kernels, member: Member) -> Vec<Range<usize>> {
        let (blocks, rows) = self.part(kernels, member);
        let pool = self.pool_of(member).map(|pool| pool + blocks.start * LANES..pool + blocks.end * LANES);
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

    /// Blocks, of whole panels where a ring feeds them, and rows.
    fn part(&self, kernels: &Kernels, member: Member) -> (Range<usize>, Range<usize>) {
        if self.split.is_by_rows(member) {
            return (0..self.blocks, member.part(self.split.height));
        }
        let blocks = match &self.input {
            Input::Map(_) => member.part(self.blocks),
            Input::Ring(_) => blocks_of(member.part(self.split.units), kernels, self.blocks),
        };
        (blocks, 0..self.split.height)
    }

    /// Where the sums go, if they are made row by row.
    fn pool_of(&self, member: Member) -> Option<usize> {
        self.pool.filter(|_| !self.split.is_by_rows(member))
    }

    /// Makes rows of the input as they are needed, a panel of channels at a time: they stay in the
    /// nearest cache.
    fn through(
        &self,
        ring: &Ring,
        member: Member,
        view: &mut View<'_>,
        kernels: &Kernels,
        blocks: Range<usize>,
        lines: Range<usize>,
    ) {
        let (height, at) = (ring.producer.height, member.room(ring.at));
        let numbers = view.own(at..at + self.room(kernels));
        for row in numbers.chunks_exact_mut(ring.row) {
            row[..ring.left * LANES].fill(0.0);
            row[ring.row - ring.right * LANES..].fill(0.0);
        }
        for panel in blocks.clone().step_by(kernels.panel) {
            let mut made = (lines.start * self.split.stride).saturating_sub(ring.top);
            for y in lines.clone() {
                // Rows of the input that the kernel covers, the first counted from above the map.
                let top = y * self.split.stride;
                let first = ring.top.saturating_sub(top);
                let last = self.split.kernel.min(height + ring.top - top);
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
                    self.row(view, kernels, (block, y), rows, first..last, self.pool_of(member));
                }
            }
        }
    }

    fn row(
        &self,
        view: &mut View<'_>,
        kernels: &Kernels,
        (block, y): (usize, usize),
        rows: [usize; depthwise::LARGEST],
        inside: Range<usize>,
        pool: Option<usize>,
    ) {
        view.depthwise(
            kernels,
            &Row {
                kernel: self.split.kernel,
                stride: self.split.stride,
                rows,
                first: inside.start,
                last: inside.end,
                weights: &self.weights.numbers()[block * self.split.kernel * self.split.kernel * LANES..],
                bias: &self.bias.numbers()[block * LANES..],
                out: self.out.at + block * self.out.plane + y * self.out.row,
                width: self.width,
                pool: pool.map(|pool| pool + block * LANES),
                activation: self.activation,
            },
        );
    }
}
