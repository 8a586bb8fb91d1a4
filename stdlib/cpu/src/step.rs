//! The steps of a forward pass: what is computed from which part of the memory into which.

use pipe_network::{Activation, Gate, MaxPool};

use crate::kernels::call::{self, Grid, Memory, Product, Row, Source, Taps, Vectors};
use crate::kernels::gemm::Epilogue;
use crate::kernels::{Kernels, LANES, depthwise};

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    Clear(Clear),
    Patches(Patches),
    Dense(Dense),
    Depthwise(Depthwise),
    Excite(Excite),
    MaxPool(Pool),
    Mean(Mean),
    LayerNorm(LayerNorm),
    Tokens(Tokens),
    Attention(Attention),
}

/// Puts zeros around a map.
#[derive(Debug)]
pub(crate) struct Clear {
    /// The first place of the border.
    pub(crate) at: usize,
    pub(crate) planes: usize,
    pub(crate) plane: usize,
    pub(crate) row: usize,
    /// Rows above and below.
    pub(crate) rows: usize,
    pub(crate) height: usize,
    /// Numbers on the left and on the right.
    pub(crate) side: usize,
}

/// Windows side by side become channels: a planar image becomes a map of
/// `channels x side x side` channels.
#[derive(Debug)]
pub(crate) struct Patches {
    pub(crate) image: usize,
    pub(crate) image_row: usize,
    pub(crate) image_plane: usize,
    pub(crate) channels: usize,
    pub(crate) side: usize,
    pub(crate) out: Grid,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

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
    pub(crate) weights: Vectors,
    /// Where weights that depend on the photo are found instead.
    pub(crate) scaled: Option<usize>,
    pub(crate) bias: Vectors,
    /// Blocks of output channels.
    pub(crate) blocks: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) out: Grid,
    pub(crate) residual: Option<Grid>,
    pub(crate) epilogue: Epilogue,
}

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

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) pool: MaxPool,
    pub(crate) map: Grid,
    pub(crate) size: (usize, usize),
    pub(crate) out: Grid,
    pub(crate) out_size: (usize, usize),
    pub(crate) blocks: usize,
}

#[derive(Debug)]
pub(crate) struct Mean {
    pub(crate) map: Grid,
    pub(crate) size: (usize, usize),
    pub(crate) blocks: usize,
    pub(crate) out: usize,
}

#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub(crate) map: Grid,
    pub(crate) size: (usize, usize),
    pub(crate) out: Grid,
    pub(crate) epsilon: f32,
    pub(crate) weight: Vectors,
    pub(crate) bias: Vectors,
}

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

impl Step {
    pub(crate) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        match self {
            Self::Clear(step) => step.run(memory),
            Self::Patches(step) => step.run(memory),
            Self::Dense(step) => step.run(memory, kernels),
            Self::Depthwise(step) => step.run(memory, kernels),
            Self::Excite(step) => step.run(memory, kernels),
            Self::MaxPool(step) => step.run(memory, kernels),
            Self::Mean(step) => memory.mean(kernels, step.map, step.size, step.blocks, step.out),
            Self::LayerNorm(step) => step.run(memory, kernels),
            Self::Tokens(step) => step.run(memory, kernels),
            Self::Attention(step) => step.run(memory, kernels),
        }
    }
}

impl Clear {
    fn run(&self, memory: &mut Memory) {
        let numbers = memory.numbers_mut();
        let rows = self.height + 2 * self.rows;
        for plane in 0..self.planes {
            let at = self.at + plane * self.plane;
            let band = self.rows * self.row;
            numbers[at..at + band].fill(0.0);
            numbers[at + (rows - self.rows) * self.row..][..band].fill(0.0);
            for y in self.rows..rows - self.rows {
                let row = &mut numbers[at + y * self.row..][..self.row];
                row[..self.side].fill(0.0);
                row[self.row - self.side..].fill(0.0);
            }
        }
    }
}

impl Patches {
    fn run(&self, memory: &mut Memory) {
        let numbers = memory.numbers_mut();
        let mut channel = 0;
        for plane in 0..self.channels {
            for ky in 0..self.side {
                for kx in 0..self.side {
                    let to = self.out.at + channel / LANES * self.out.plane + channel % LANES;
                    for y in 0..self.height {
                        let row = self.image + plane * self.image_plane + (y * self.side + ky) * self.image_row + kx;
                        for x in 0..self.width {
                            numbers[to + y * self.out.row + x * LANES] = numbers[row + x * self.side];
                        }
                    }
                    channel += 1;
                }
            }
        }
    }
}

impl Dense {
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        for block in (0..self.blocks).step_by(kernels.panel) {
            let out = Grid { at: self.out.at + block * self.out.plane, ..self.out };
            self.panel(memory, kernels, block, 0..self.height, out);
        }
    }

    /// The blocks of one panel from `block` on, of some rows, to `out`.
    fn panel(&self, memory: &mut Memory, kernels: &Kernels, block: usize, rows: std::ops::Range<usize>, out: Grid) {
        let vectors = kernels.panel.min(self.blocks - block);
        let at = block * self.taps.count() * LANES;
        let weights = match self.scaled {
            None => Source::Slice(&self.weights.numbers()[at..]),
            Some(scaled) => Source::Memory(scaled + at),
        };
        let (calls, width, height) =
            if self.is_flat { (1, self.width, rows.len()) } else { (rows.len(), self.width, 1) };
        for call in 0..calls {
            let y = rows.start + call;
            let residual = self
                .residual
                .map(|residual| Grid { at: residual.at + block * residual.plane + y * residual.row, ..residual });
            memory.product(
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

impl Depthwise {
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
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
        inside: std::ops::Range<usize>,
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

impl Excite {
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
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

impl Pool {
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        let MaxPool { kernel, stride, padding, .. } = self.pool;
        for block in 0..self.blocks {
            for y in 0..self.out_size.0 {
                memory.max_pool(
                    kernels,
                    &call::MaxPool {
                        map: self.map.at + block * self.map.plane,
                        row: self.map.row,
                        width: self.size.1,
                        first: (y * stride).saturating_sub(padding),
                        last: (y * stride + kernel - padding).min(self.size.0),
                        kernel,
                        stride,
                        padding,
                        out: self.out.at + block * self.out.plane + y * self.out.row,
                        out_width: self.out_size.1,
                    },
                );
            }
        }
    }
}

impl LayerNorm {
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
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

impl Tokens {
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
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
    fn run(&self, memory: &mut Memory, kernels: &Kernels) {
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
