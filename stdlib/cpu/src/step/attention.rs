//! What transformers are made of.

use pipe_network::Activation;

use crate::kernels::call::{Grid, Memory, Product, Source, Taps, Vectors};
use crate::kernels::gemm::Epilogue;
use crate::kernels::{Kernels, LANES};

/// Makes a sequence of a map: places in a row behind the class token, positions added.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) map: Grid,
    pub(crate) out: Grid,
    pub(crate) blocks: usize,
    /// With the class token.
    pub(crate) places: usize,
    /// `[blocks][places][16]`, the class token's with the class token.
    pub(crate) positions: Vectors,
}

/// `softmax(q k^T) v` for each head; queries are scaled already.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Queries, then keys, then values.
    pub(crate) qkv: Grid,
    pub(crate) heads: usize,
    /// Channels of a head, a multiple of 16.
    pub(crate) channels: usize,
    pub(crate) places: usize,
    /// Room for one head: keys and values as weights, and scores.
    pub(crate) keys: usize,
    pub(crate) values: usize,
    pub(crate) scores: usize,
    pub(crate) of_channels: Taps,
    pub(crate) of_places: Taps,
    pub(crate) zeros: Vectors,
    pub(crate) out: Grid,
}

impl Tokens {
    pub(super) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        for block in 0..self.blocks {
            let positions = &self.positions.numbers()[block * self.places * LANES..];
            let to = self.out.at + block * self.out.plane;
            memory.numbers_mut()[to..to + LANES].copy_from_slice(&positions[..LANES]);
            let from = self.map.at + block * self.map.plane;
            memory.add(kernels, from, &positions[LANES..], to + LANES, self.places - 1);
        }
    }
}

impl Attention {
    pub(super) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        let blocks = self.channels / LANES;
        let places = self.places.div_ceil(LANES);
        let scores = Grid { at: self.scores, row: self.places * LANES, plane: self.places * LANES };
        for head in 0..self.heads {
            let part = |which: usize| self.qkv.at + (which * self.heads + head) * blocks * self.qkv.plane;
            self.pack_keys(memory.numbers_mut(), part(1), kernels.panel);
            self.pack_values(memory.numbers_mut(), part(2), kernels.panel);
            let product = |memory: &mut Memory, x, taps: &Taps, weights: usize, outputs: usize, out: Grid| {
                for block in (0..outputs).step_by(kernels.panel) {
                    let job = Product {
                        x,
                        step: LANES,
                        taps,
                        weights: Source::Memory(weights + block * taps.count() * LANES),
                        bias: self.zeros.numbers(),
                        vectors: kernels.panel.min(outputs - block),
                        pixels: self.places,
                        width: self.places,
                        out: Grid { at: out.at + block * out.plane, ..out },
                        residual: None,
                        epilogue: Epilogue { activation: Activation::Identity, add_last: false },
                    };
                    memory.product(kernels, &job);
                }
            };
            product(memory, part(0), &self.of_channels, self.keys, places, scores);
            for place in 0..self.places {
                memory.softmax(kernels, self.scores + place * LANES, scores.plane, self.places);
            }
            let out = Grid { at: self.out.at + head * blocks * self.out.plane, ..self.out };
            product(memory, self.scores, &self.of_places, self.values, blocks, out);
        }
    }

    /// Keys as weights from channels to places: `[panel][channel][place of the panel]`.
    fn pack_keys(&self, numbers: &mut [f32], keys: usize, panel: usize) {
        let places = self.places.div_ceil(LANES);
        let mut to = self.keys;
        for block in (0..places).step_by(panel) {
            for channel in 0..self.channels {
                let from = keys + channel / LANES * self.qkv.plane + channel % LANES;
                let last = (block + panel).min(places) * LANES;
                for place in block * LANES..last {
                    numbers[to] = if place < self.places { numbers[from + place * LANES] } else { 0.0 };
                    to += 1;
                }
            }
        }
    }

    /// Values as weights from places to channels: `[panel][place][channel of the panel]`.
    fn pack_values(&self, numbers: &mut [f32], values: usize, panel: usize) {
        let blocks = self.channels / LANES;
        let mut to = self.values;
        for block in (0..blocks).step_by(panel) {
            for place in 0..self.places {
                for block in block..(block + panel).min(blocks) {
                    let from = values + block * self.qkv.plane + place * LANES;
                    numbers.copy_within(from..from + LANES, to);
                    to += LANES;
                }
            }
        }
    }
}
