//! What transformers are made of.

use std::ops::Range;

use pipe_network::Activation;

use super::{Member, rows_of};
use crate::kernels::call::{Grid, Product, Source, Taps};
use crate::kernels::gemm::Epilogue;
use crate::kernels::memory::{Vectors, View};
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
    /// Where the room for one head lies.
    pub(crate) room: usize,
    pub(crate) of_channels: Taps,
    pub(crate) of_places: Taps,
    pub(crate) zeros: Vectors,
    pub(crate) out: Grid,
}

impl Tokens {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        for block in member.part(self.blocks) {
            let positions = &self.positions.numbers()[block * self.places * LANES..];
            let to = self.out.at + block * self.out.plane;
            view.own(to..to + LANES).copy_from_slice(&positions[..LANES]);
            let from = self.map.at + block * self.map.plane;
            view.add(kernels, from, &positions[LANES..], to + LANES, self.places - 1);
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        rows_of(self.out, member.part(self.blocks), 0..1, self.places)
    }
}

/// Room for one head: where its keys and values lie as weights, and its scores.
struct Room {
    keys: usize,
    values: usize,
    scores: usize,
}

impl Attention {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let blocks = self.channels / LANES;
        let places = self.places.div_ceil(LANES);
        let room = self.room_of(member);
        let scores = Grid { at: room.scores, row: self.places * LANES, plane: self.places * LANES };
        for head in member.part(self.heads) {
            let part = |which: usize| self.qkv.at + (which * self.heads + head) * blocks * self.qkv.plane;
            self.pack_keys(view, part(1), room.keys, kernels.panel);
            self.pack_values(view, part(2), room.values, kernels.panel);
            let product = |view: &mut View<'_>, x, taps: &Taps, weights: usize, outputs: usize, out: Grid| {
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
                    view.product(kernels, &job);
                }
            };
            product(view, part(0), &self.of_channels, room.keys, places, scores);
            for place in 0..self.places {
                view.softmax(kernels, room.scores + place * LANES, scores.plane, self.places);
            }
            let out = Grid { at: self.out.at + head * blocks * self.out.plane, ..self.out };
            product(view, room.scores, &self.of_places, room.values, blocks, out);
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        let blocks = self.channels / LANES;
        let heads = member.part(self.heads);
        let mut owned = rows_of(self.out, heads.start * blocks..heads.end * blocks, 0..1, self.places);
        let room = member.room(self.room);
        owned.push(room..room + self.room());
        owned
    }

    /// Numbers for one head.
    pub(crate) fn room(&self) -> usize {
        self.keys_numbers() + self.values_numbers() + self.scores_numbers()
    }

    fn room_of(&self, member: Member) -> Room {
        let keys = member.room(self.room);
        let values = keys + self.keys_numbers();
        Room { keys, values, scores: values + self.values_numbers() }
    }

    fn keys_numbers(&self) -> usize {
        self.places.next_multiple_of(LANES) * self.channels
    }

    fn values_numbers(&self) -> usize {
        self.places * self.channels
    }

    fn scores_numbers(&self) -> usize {
        self.places.next_multiple_of(LANES) * self.places
    }

    /// The channels of one head, of queries, keys or values.
    fn head(&self, at: usize) -> Range<usize> {
        at..at + (self.channels / LANES - 1) * self.qkv.plane + self.places * LANES
    }

    /// Keys as weights from channels to places: `[panel][channel][place of the panel]`.
    fn pack_keys(&self, view: &mut View<'_>, keys: usize, to: usize, panel: usize) {
        let places = self.places.div_ceil(LANES);
        let (keys, packed) = view.pair(self.head(keys), to..to + self.keys_numbers());
        let mut packed = packed.iter_mut();
        for block in (0..places).step_by(panel) {
            for channel in 0..self.channels {
                let from = channel / LANES * self.qkv.plane + channel % LANES;
                let last = (block + panel).min(places) * LANES;
                for (place, to) in (block * LANES..last).zip(&mut packed) {
                    *to = if place < self.places { keys[from + place * LANES] } else { 0.0 };
                }
            }
        }
    }

    /// Values as weights from places to channels: `[panel][place][channel of the panel]`.
    fn pack_values(&self, view: &mut View<'_>, values: usize, to: usize, panel: usize) {
        let blocks = self.channels / LANES;
        let (values, packed) = view.pair(self.head(values), to..to + self.values_numbers());
        let mut packed = packed.chunks_exact_mut(LANES);
        for block in (0..blocks).step_by(panel) {
            for place in 0..self.places {
                for (block, to) in (block..(block + panel).min(blocks)).zip(&mut packed) {
                    to.copy_from_slice(&values[block * self.qkv.plane + place * LANES..][..LANES]);
                }
            }
        }
    }
}
