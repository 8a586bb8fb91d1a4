//! Depthwise convolutions, with what feeds them.

use std::ops::Range;

use pipe_network::Activation;

use super::dense::Dense;
use crate::kernels::call::{Grid, Memory, Row, Vectors};
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
    pub(super) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        if let Some(pool) = self.pool {
            memory.numbers_mut()[pool..pool + self.blocks * LANES].fill(0.0);
        }
        match &self.input {
            Input::Map(map) => {
                for block in 0..self.blocks {
                    for y in 0..self.height {
                        let mut rows = [0; depthwise::LARGEST];
                        for (ky, row) in rows.iter_mut().take(self.kernel).enumerate() {
                            *row = map.at + block * map.plane + (y * self.stride + ky) * map.row;
                        }
                        self.row(memory, kernels, block, y, rows, 0..self.kernel);
                    }
                }
            }
            Input::Ring(ring) => self.through(ring, memory, kernels),
        }
    }

    /// Makes rows of the input as they are needed, a panel of channels at a time: they stay in the
    /// nearest cache.
    fn through(&self, ring: &Ring, memory: &mut Memory, kernels: &Kernels) {
        let height = ring.producer.height;
        let numbers = memory.numbers_mut();
        for plane in 0..kernels.panel.min(self.blocks) {
            for slot in 0..ring.slots {
                let row = &mut numbers[ring.at + plane * ring.plane + slot * ring.row..][..ring.row];
                row[..ring.left * LANES].fill(0.0);
                row[ring.row - ring.right * LANES..].fill(0.0);
            }
        }
        for panel in (0..self.blocks).step_by(kernels.panel) {
            let mut made = 0;
            for y in 0..self.height {
                // Rows of the input that the kernel covers, the first counted from above the map.
                let top = y * self.stride;
                let first = ring.top.saturating_sub(top);
                let last = self.kernel.min(height + ring.top - top);
                while made < top + last - ring.top {
                    let chunk = ring.chunk.min(height - made);
                    let at = ring.at + made % ring.slots * ring.row + ring.left * LANES;
                    let out = Grid { at, row: ring.row, plane: ring.plane };
                    ring.producer.panel(memory, kernels, panel, made..made + chunk, out);
                    made += chunk;
                }
                for block in panel..self.blocks.min(panel + kernels.panel) {
                    let mut rows = [0; depthwise::LARGEST];
                    for (ky, row) in rows.iter_mut().enumerate().take(last).skip(first) {
                        let slot = (top + ky - ring.top) % ring.slots;
                        *row = ring.at + (block - panel) * ring.plane + slot * ring.row;
                    }
                    self.row(memory, kernels, block, y, rows, first..last);
                }
            }
        }
    }

    fn row(
        &self,
        memory: &mut Memory,
        kernels: &Kernels,
        block: usize,
        y: usize,
        rows: [usize; depthwise::LARGEST],
        inside: Range<usize>,
    ) {
        memory.depthwise(
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
