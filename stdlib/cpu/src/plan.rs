//! From the description of a network to the steps of its forward pass, for one size of images.
//!
//! Norms are folded into convolutions, squeeze-excite into the weights behind it, residuals and
//! activations into the writing of results. An expanding convolution and the depthwise one behind it
//! are one step. Each map gets a border of zeros where what reads it wants one.

use pipe_network::{
    Activation, Attention, Block, Classifier, Conv, Folded, LayerNorm, Linear, MaxPool, Network, Residual,
    SqueezeExcite, Tokens, Weights,
};

use crate::heap::Heap;
use crate::isa::Isa;
use crate::kernels::call::{Grid, Taps, Vectors};
use crate::kernels::gemm::{Epilogue, Tap};
use crate::kernels::{LANES, depthwise};
use crate::pack;
use crate::step::{self, Input, Ring, Scales, Step};

/// The steps of a forward pass for images of one size.
#[derive(Debug)]
pub struct Plan {
    pub(crate) isa: Isa,
    pub(crate) steps: Vec<Step>,
    /// Numbers that a worker needs.
    pub(crate) memory: usize,
    /// The image: planes of red, green and blue.
    pub(crate) image: Map,
    /// Steps up to the features; the others are the classifier's.
    pub(crate) until_features: usize,
    pub(crate) features: Map,
    /// The last map before the features.
    pub(crate) last: Map,
    pub(crate) logits: Option<Map>,
}

/// Why a network cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The image is too small, or not of the size that the network takes.
    #[error("{network} does not take images of {height} x {width} pixels{}", wanted(.takes))]
    Size {
        /// The network.
        network: String,
        /// Pixels.
        height: usize,
        /// Pixels.
        width: usize,
        /// The only side it takes, where it takes one alone.
        takes: Option<usize>,
    },
    /// There are no kernels for a block, or not where it stands.
    #[error("no kernel for {0}")]
    Block(String),
}

fn wanted(takes: &Option<usize>) -> String {
    takes.map_or_else(|| ": it is too small".to_owned(), |side| format!(", but of {side} x {side}"))
}

/// A map in the memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Map {
    /// The part of the heap that holds it.
    part: usize,
    pub(crate) at: usize,
    pub(crate) row: usize,
    pub(crate) plane: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Whether a plane holds one channel and not sixteen.
    is_planar: bool,
}

impl Map {
    fn grid(&self) -> Grid {
        Grid { at: self.at, row: self.row, plane: self.plane }
    }

    fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Numbers from a pixel to the next.
    fn pixel(&self) -> usize {
        if self.is_planar { 1 } else { LANES }
    }

    fn is_flat(&self) -> bool {
        self.row == self.width * self.pixel()
    }

    fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }
}

/// What is special about the last block of a list.
#[derive(Debug, Clone, Copy, Default)]
struct Tail<'a> {
    /// Zeros wanted around its output.
    border: usize,
    /// Where its output goes, if not to a map of its own.
    into: Option<Map>,
    /// What is added to its output, and what follows then.
    residual: Option<(Map, Activation)>,
    /// The name of factors of its output.
    scale: Option<&'a str>,
}

struct Planner<'a> {
    weights: &'a Weights,
    isa: Isa,
    panel: usize,
    heap: Heap,
    steps: Vec<Step>,
}

/// `None` stands for an image of the wrong size.
type Planned<T> = Result<T, Option<Unsupported>>;

impl Plan {
    /// Plans the forward pass of images of `height` x `width` pixels.
    ///
    /// # Errors
    /// When the network does not take such images, or has a block without kernels.
    pub fn new(
        network: &Network,
        weights: &Weights,
        height: usize,
        width: usize,
        isa: Isa,
    ) -> Result<Self, Unsupported> {
        let panel = isa.kernels().panel;
        let planner = Planner { weights, isa, panel, heap: Heap::default(), steps: Vec::new() };
        planner.network(network, height, width).map_err(|unsupported| {
            unsupported.unwrap_or_else(|| {
                let takes_one = network.trunk.iter().any(|block| matches!(block, Block::Tokens(_)));
                let takes = takes_one.then_some(network.input_size);
                Unsupported::Size { network: network.name.clone(), height, width, takes }
            })
        })
    }

    /// Height and width of the images that it is for.
    pub fn size(&self) -> (usize, usize) {
        self.image.size()
    }
}

impl<'a> Planner<'a> {
    fn network(mut self, network: &'a Network, height: usize, width: usize) -> Planned<Plan> {
        if height == 0 || width == 0 {
            return Err(None);
        }
        let image = self.image(&network.trunk, height, width);
        let last = self.blocks(&network.trunk, image, Tail::default())?;
        self.heap.keep(last.part);
        let features = self.blocks(&network.head, last, Tail::default())?;
        self.heap.keep(features.part);
        let until_features = self.steps.len();
        let logits = match &network.classifier {
            Classifier::Linear(linear) if self.weights.has(&format!("{}.weight", linear.name)) => {
                Some(self.linear(linear, features, Tail::default())?)
            }
            Classifier::Conv(conv) if self.weights.has(&format!("{}.weight", conv.name)) => {
                let map = self.conv(conv, last, Tail::default())?;
                Some(self.mean(map))
            }
            _ => None,
        };
        Ok(Plan {
            isa: self.isa,
            steps: self.steps,
            memory: self.heap.size(),
            image,
            until_features,
            features,
            last,
            logits,
        })
    }

    /// Room for the image, with the border that the first convolution wants.
    fn image(&mut self, trunk: &[Block], height: usize, width: usize) -> Map {
        let border = border(trunk, height, width, 0);
        let row = width + 2 * border;
        let plane = (height + 2 * border) * row;
        let part = self.heap.take(3 * plane);
        // The border is cleared once: nothing else is ever written where the image lies.
        self.heap.keep(part);
        Map { part, at: part + border * row + border, row, plane, channels: 3, height, width, is_planar: true }
    }

    /// A new map, with a border of zeros.
    fn map(&mut self, channels: usize, height: usize, width: usize, border: usize) -> Map {
        let row = (width + 2 * border) * LANES;
        let plane = (height + 2 * border) * row;
        let planes = channels.div_ceil(LANES);
        let part = self.heap.take(planes * plane);
        if border > 0 {
            let side = border * LANES;
            self.steps.push(Step::Clear(step::Clear { at: part, planes, plane, row, rows: border, height, side }));
        }
        let at = part + border * row + border * LANES;
        Map { part, at, row, plane, channels, height, width, is_planar: false }
    }

    /// Where a block's output goes.
    fn out(&mut self, tail: Tail<'_>, channels: usize, height: usize, width: usize) -> Map {
        match tail.into {
            Some(map) => {
                self.heap.keep(map.part);
                map
            }
            None => self.map(channels, height, width, tail.border),
        }
    }

    /// Plans blocks one after another; `x` is given back.
    fn blocks(&mut self, blocks: &'a [Block], x: Map, tail: Tail<'a>) -> Planned<Map> {
        let mut x = x;
        let mut left = blocks;
        while let Some((block, rest)) = left.split_first() {
            let taken = self.fused(block, rest, x, tail)?;
            let (next, used) = match taken {
                Some(fused) => fused,
                None => (self.block(block, x, self.tail_of(rest, x, block, tail))?, 1),
            };
            self.heap.give_back(x.part);
            x = next;
            left = &left[used..];
        }
        Ok(x)
    }

    /// What a block has to heed: all of the list's where it is the last one, else the border that the
    /// next one wants.
    fn tail_of(&self, rest: &[Block], x: Map, block: &Block, tail: Tail<'a>) -> Tail<'a> {
        if rest.is_empty() {
            return tail;
        }
        let (height, width) = output_size(block, x.size()).unwrap_or(x.size());
        Tail { border: border(rest, height, width, tail.border), ..Tail::default() }
    }

    fn block(&mut self, block: &'a Block, x: Map, tail: Tail<'a>) -> Planned<Map> {
        match block {
            Block::Conv(conv) => self.conv(conv, x, tail),
            Block::Linear(linear) => self.linear(linear, x, tail),
            Block::Attention(attention) => self.attention(attention, x, tail),
            Block::Residual(residual) => self.residual(residual, x, tail),
            Block::Concat(branches) => self.concat(branches, x, tail),
            _ if tail.residual.is_some() || tail.into.is_some() || tail.scale.is_some() => {
                Err(Some(Unsupported::Block("the end of this branch".into())))
            }
            Block::LayerNorm(norm) => self.layer_norm(norm, x, tail),
            Block::MaxPool(pool) => self.max_pool(pool, x, tail),
            Block::Tokens(tokens) => self.tokens(tokens, x),
            Block::Mean => Ok(self.mean(x)),
            Block::FirstToken => {
                self.heap.keep(x.part);
                Ok(Map { height: 1, width: 1, ..x })
            }
            Block::SqueezeExcite(block) => {
                Err(Some(Unsupported::Block(format!("`{}`, which follows no depthwise convolution", block.name))))
            }
        }
    }

    /// A depthwise convolution, together with what makes its input before it and squeeze-excite and
    /// the convolution behind it, as far as they are there. Gives how many blocks that were.
    fn fused(&mut self, block: &'a Block, rest: &'a [Block], x: Map, tail: Tail<'a>) -> Planned<Option<(Map, usize)>> {
        let Block::Conv(first) = block else { return Ok(None) };
        let (producer, depthwise, mut rest, mut used) = match rest.split_first() {
            _ if first.is_depthwise() => (None, first, rest, 1),
            Some((Block::Conv(second), rest)) if second.is_depthwise() && !is_patches(first, x) => {
                (Some(first), second, rest, 2)
            }
            _ => return Ok(None),
        };
        let squeeze = match rest.split_first() {
            Some((Block::SqueezeExcite(block), behind)) => {
                (rest, used) = (behind, used + 1);
                Some(block)
            }
            _ => None,
        };
        if rest.is_empty() && (tail.residual.is_some() || tail.into.is_some()) {
            return Err(Some(Unsupported::Block(format!("`{}` at the end of a branch", depthwise.name))));
        }
        let (map, pool) = self.depthwise(producer, depthwise, squeeze.is_some(), rest, x, tail)?;
        let (Some(squeeze), Some(pool)) = (squeeze, pool) else { return Ok(Some((map, used))) };
        // Weights are scaled where they are fewer than the map's numbers.
        let behind = match rest.split_first() {
            Some((Block::Conv(conv), behind)) if conv.kernel == 1 && conv.stride == 1 && !conv.is_depthwise() => {
                Some((conv, behind))
            }
            _ => None,
        };
        let behind = behind.filter(|(conv, _)| map.height * map.width > conv.outputs.next_multiple_of(LANES));
        let Some((conv, behind)) = behind else {
            self.excite(squeeze, pool, map, Scales::Map(map.at));
            return Ok(Some((map, used)));
        };
        let folded = Folded::conv(conv, self.weights);
        let weights = pack::dense(&folded.weight, conv.inputs, conv.outputs, 1, false, self.panel);
        let blocks = conv.outputs.div_ceil(LANES);
        let to = self.heap.take(conv.inputs * blocks * LANES);
        self.excite(squeeze, pool, map, Scales::Weights { weights, inputs: conv.inputs, blocks, to });
        let tail = if behind.is_empty() { tail } else { self.tail_of(behind, map, &rest[0], tail) };
        let next = self.conv_scaled(conv, map, tail, Some(to))?;
        self.heap.give_back(to);
        self.heap.give_back(map.part);
        Ok(Some((next, used + 1)))
    }

    /// The output of a depthwise convolution, and where its channels' sums are if they are wanted.
    fn depthwise(
        &mut self,
        producer: Option<&Conv>,
        conv: &Conv,
        is_pooled: bool,
        rest: &[Block],
        x: Map,
        tail: Tail<'_>,
    ) -> Planned<(Map, Option<usize>)> {
        if !depthwise::is_known(conv.kernel, conv.stride) || conv.inputs != conv.outputs {
            return Err(Some(Unsupported::Block(format!("`{}`", conv.name))));
        }
        // The producer comes first: it may make rows of its own.
        let producer = producer.map(|producer| self.dense_of(producer, x, None)).transpose()?;
        let (in_height, in_width) = producer.as_ref().map_or(x.size(), |dense| (dense.height, dense.width));
        let (height, width) = conv.output_size(in_height).zip(conv.output_size(in_width)).ok_or(None)?;
        let (top, _) = conv.padding_of(in_height);
        let (left, right) = conv.padding_of(in_width);
        let wanted = border(rest, height, width, tail.border);
        if is_pooled && wanted > 0 {
            return Err(Some(Unsupported::Block(format!("what follows squeeze-excite behind `{}`", conv.name))));
        }
        let blocks = conv.outputs.div_ceil(LANES);
        let mut ring_part = None;
        let input = match producer {
            None => Input::Map(Grid { at: x.at - top * x.row - left * LANES, row: x.row, plane: x.plane }),
            Some(producer) => {
                // Small maps are made whole: their rows would not fill tiles.
                const WHOLE: usize = 256;
                let is_whole = producer.is_flat && in_height * in_width <= WHOLE;
                let slots = if is_whole { in_height } else { conv.kernel.next_power_of_two() };
                let row = (in_width + left + right) * LANES;
                let at = self.heap.take(self.panel * slots * row);
                ring_part = Some(at);
                let chunk = if is_whole { in_height } else { 1 };
                Input::Ring(Box::new(Ring { producer, at, row, plane: slots * row, slots, chunk, left, right, top }))
            }
        };
        let pool = is_pooled.then(|| self.heap.take(blocks * LANES));
        let map = self.map(conv.outputs, height, width, wanted);
        let folded = Folded::conv(conv, self.weights);
        self.steps.push(Step::Depthwise(step::Depthwise {
            input,
            kernel: conv.kernel,
            stride: conv.stride,
            weights: pack::depthwise(&folded.weight, conv.outputs, conv.kernel),
            bias: Vectors::of(&folded.bias),
            blocks,
            activation: conv.activation,
            out: map.grid(),
            height,
            width,
            pool,
        }));
        if let Some(ring) = ring_part {
            self.heap.give_back(ring);
        }
        Ok((map, pool))
    }

    fn excite(&mut self, block: &SqueezeExcite, pool: usize, map: Map, scales: Scales) {
        let [squeeze, excite] = block.convs().map(|conv| Folded::conv(&conv, self.weights));
        let between = self.heap.take(block.squeezed);
        let factors = self.heap.take(block.channels);
        self.steps.push(Step::Excite(step::Excite {
            pool,
            pixels: map.height * map.width,
            blocks: map.blocks(),
            squeezed: block.squeezed,
            activation: block.activation,
            gate: block.gate,
            squeeze: pack::rows(&squeeze.weight, block.channels),
            squeeze_bias: Vectors::of(&squeeze.bias),
            excite: pack::columns(&excite.weight, block.channels, block.squeezed),
            excite_bias: Vectors::of(&excite.bias),
            between,
            factors,
            scales,
        }));
        for part in [between, factors, pool] {
            self.heap.give_back(part);
        }
    }

    fn conv(&mut self, conv: &Conv, x: Map, tail: Tail<'_>) -> Planned<Map> {
        self.conv_scaled(conv, x, tail, None)
    }

    fn conv_scaled(&mut self, conv: &Conv, x: Map, tail: Tail<'_>, scaled: Option<usize>) -> Planned<Map> {
        if !is_patches(conv, x) {
            let dense = self.dense_of(conv, x, tail.scale)?;
            return self.finish(step::Dense { scaled, ..dense }, conv.outputs, tail);
        }
        let (height, width) = conv.output_size(x.height).zip(conv.output_size(x.width)).ok_or(None)?;
        let patches = self.patches(conv, x, height, width);
        let folded = self.folded(conv, tail.scale);
        let dense = self.product(&folded, (patches.channels, conv.outputs), conv.activation, patches);
        let out = self.finish(dense, conv.outputs, tail)?;
        self.heap.give_back(patches.part);
        Ok(out)
    }

    fn folded(&self, conv: &Conv, scale: Option<&str>) -> Folded {
        let folded = Folded::conv(conv, self.weights);
        match scale {
            Some(scale) => folded.scaled(self.weights.numbers(scale)),
            None => folded,
        }
    }

    /// Gives a product its output and what is added to it.
    fn finish(&mut self, mut dense: step::Dense, outputs: usize, tail: Tail<'_>) -> Planned<Map> {
        let out = self.out(tail, outputs, dense.height, dense.width);
        dense.out = out.grid();
        if let Some((residual, after)) = tail.residual {
            let own = dense.epilogue.activation;
            dense.residual = Some(residual.grid());
            dense.epilogue = match (own, after) {
                (own, Activation::Identity) => Epilogue { activation: own, add_last: true },
                (Activation::Identity, after) => Epilogue { activation: after, add_last: false },
                _ => return Err(Some(Unsupported::Block("two activations around a sum".into()))),
            };
        }
        self.steps.push(Step::Dense(dense));
        Ok(out)
    }

    /// A convolution with one group as a matrix product, without its output.
    fn dense_of(&mut self, conv: &Conv, x: Map, scale: Option<&str>) -> Planned<step::Dense> {
        let (height, width) = conv.output_size(x.height).zip(conv.output_size(x.width)).ok_or(None)?;
        let folded = self.folded(conv, scale);
        if conv.is_depthwise() {
            return Err(Some(Unsupported::Block(format!("`{}`", conv.name))));
        }
        let (top, left) = (conv.padding_of(x.height).0, conv.padding_of(x.width).0);
        let group = if x.is_planar { 1 } else { LANES };
        let mut taps = Vec::new();
        for first in (0..conv.inputs).step_by(group) {
            for ky in 0..conv.kernel {
                for kx in 0..conv.kernel {
                    let at = first / group * x.plane + ky * x.row + kx * x.pixel();
                    taps.push(Tap { at: at as u32, count: group.min(conv.inputs - first) as u32 });
                }
            }
        }
        Ok(step::Dense {
            x: x.at - top * x.row - left * x.pixel(),
            x_row: conv.stride * x.row,
            step: conv.stride * x.pixel(),
            taps: Taps::new(taps),
            is_flat: conv.kernel == 1 && conv.stride == 1 && x.is_flat(),
            weights: pack::dense(&folded.weight, conv.inputs, conv.outputs, conv.kernel, x.is_planar, self.panel),
            scaled: None,
            bias: Vectors::of(&folded.bias),
            blocks: conv.outputs.div_ceil(LANES),
            height,
            width,
            out: x.grid(),
            residual: None,
            epilogue: Epilogue { activation: conv.activation, add_last: false },
        })
    }

    /// A dense layer over the channels of each place, without its output.
    fn product(
        &self,
        folded: &Folded,
        (inputs, outputs): (usize, usize),
        activation: Activation,
        x: Map,
    ) -> step::Dense {
        let tap = |first: usize| Tap { at: (first / LANES * x.plane) as u32, count: LANES.min(inputs - first) as u32 };
        step::Dense {
            x: x.at,
            x_row: x.row,
            step: LANES,
            taps: Taps::new((0..inputs).step_by(LANES).map(tap).collect()),
            is_flat: x.is_flat(),
            weights: pack::dense(&folded.weight, inputs, outputs, 1, false, self.panel),
            scaled: None,
            bias: Vectors::of(&folded.bias),
            blocks: outputs.div_ceil(LANES),
            height: x.height,
            width: x.width,
            out: x.grid(),
            residual: None,
            epilogue: Epilogue { activation, add_last: false },
        }
    }

    fn linear(&mut self, linear: &Linear, x: Map, tail: Tail<'_>) -> Planned<Map> {
        let mut folded = Folded::linear(linear, self.weights);
        if let Some(scale) = tail.scale {
            folded = folded.scaled(self.weights.numbers(scale));
        }
        let dense = self.product(&folded, (linear.inputs, linear.outputs), linear.activation, x);
        self.finish(dense, linear.outputs, tail)
    }

    /// The windows of a convolution whose windows lie side by side.
    fn patches(&mut self, conv: &Conv, x: Map, height: usize, width: usize) -> Map {
        let side = conv.kernel;
        let out = self.map(conv.inputs * side * side, height, width, 0);
        self.steps.push(Step::Patches(step::Patches {
            image: x.at,
            image_row: x.row,
            image_plane: x.plane,
            channels: conv.inputs,
            side,
            out: out.grid(),
            height,
            width,
        }));
        out
    }

    fn residual(&mut self, residual: &'a Residual, x: Map, tail: Tail<'a>) -> Planned<Map> {
        self.heap.keep(x.part);
        let shortcut = self.blocks(&residual.shortcut, x, Tail::default())?;
        self.heap.keep(x.part);
        let sum = Some((shortcut, residual.activation));
        let tail = Tail { residual: sum, scale: residual.scale.as_deref(), ..tail };
        let out = self.blocks(&residual.body, x, tail)?;
        self.heap.give_back(shortcut.part);
        Ok(out)
    }

    fn concat(&mut self, branches: &'a [Vec<Block>], x: Map, tail: Tail<'a>) -> Planned<Map> {
        let ends = || Some(Unsupported::Block("these branches".into()));
        let channels = |branch: &[Block]| match branch.last() {
            Some(Block::Conv(conv)) if conv.outputs.is_multiple_of(LANES) => Some(conv.outputs),
            _ => None,
        };
        let each: Option<Vec<usize>> = branches.iter().map(|branch| channels(branch)).collect();
        let each = each.ok_or_else(ends)?;
        let size = branches.first().ok_or_else(ends)?.iter().try_fold(x.size(), |size, block| output_size(block, size));
        let (height, width) = size.ok_or(None)?;
        let out = self.map(each.iter().sum(), height, width, tail.border);
        let mut at = out.at;
        for (branch, channels) in branches.iter().zip(each) {
            self.heap.keep(x.part);
            let into = Map { at, channels, ..out };
            self.blocks(branch, x, Tail { into: Some(into), ..Tail::default() })?;
            self.heap.give_back(out.part);
            at += channels / LANES * out.plane;
        }
        Ok(out)
    }

    fn max_pool(&mut self, pool: &MaxPool, x: Map, tail: Tail<'_>) -> Planned<Map> {
        let (height, width) = pool.output_size(x.height).zip(pool.output_size(x.width)).ok_or(None)?;
        let out = self.map(x.channels, height, width, tail.border);
        self.steps.push(Step::MaxPool(step::Pool {
            pool: *pool,
            map: x.grid(),
            size: x.size(),
            out: out.grid(),
            out_size: out.size(),
            blocks: x.blocks(),
        }));
        Ok(out)
    }

    fn mean(&mut self, x: Map) -> Map {
        let out = self.map(x.channels, 1, 1, 0);
        self.steps.push(Step::Mean(step::Mean { map: x.grid(), size: x.size(), blocks: x.blocks(), out: out.at }));
        out
    }

    fn layer_norm(&mut self, norm: &LayerNorm, x: Map, tail: Tail<'_>) -> Planned<Map> {
        if !norm.channels.is_multiple_of(LANES) {
            return Err(Some(Unsupported::Block(format!("`{}`: {} channels", norm.name, norm.channels))));
        }
        let out = self.map(x.channels, x.height, x.width, tail.border);
        let part = |part: &str| Vectors::of(self.weights.numbers(&format!("{}.{part}", norm.name)));
        let step = step::LayerNorm {
            map: x.grid(),
            size: x.size(),
            out: out.grid(),
            epsilon: norm.epsilon,
            weight: part("weight"),
            bias: part("bias"),
        };
        self.steps.push(Step::LayerNorm(step));
        Ok(out)
    }

    /// The sequence in place of the map: a map of one row, the class token first.
    fn tokens(&mut self, tokens: &Tokens, x: Map) -> Planned<Map> {
        if x.height * x.width != tokens.places || !tokens.channels.is_multiple_of(LANES) || !x.is_flat() {
            return Err(None);
        }
        let places = tokens.places + 1;
        let out = self.map(tokens.channels, 1, places, 0);
        let positions = self.weights.numbers(&tokens.positions);
        let class = self.weights.numbers(&tokens.class);
        let first = positions.iter().zip(class).map(|(position, class)| position + class);
        let all: Vec<f32> = first.chain(positions.iter().skip(tokens.channels).copied()).collect();
        self.steps.push(Step::Tokens(step::Tokens {
            map: x.grid(),
            out: out.grid(),
            blocks: out.blocks(),
            places,
            positions: pack::map(&all, tokens.channels, places),
        }));
        Ok(out)
    }

    fn attention(&mut self, attention: &Attention, x: Map, tail: Tail<'_>) -> Planned<Map> {
        let (channels, heads) = (attention.channels, attention.heads);
        let each = channels / heads;
        if x.height != 1 || !each.is_multiple_of(LANES) || !x.is_flat() {
            return Err(Some(Unsupported::Block(format!("`{}`", attention.name))));
        }
        let (weight, bias, after) = attention.linears();
        let folded =
            Folded { weight: self.weights.numbers(&weight).to_vec(), bias: self.weights.numbers(&bias).to_vec() };
        // Queries are divided by the root of their length here, once.
        let factor = 1.0 / (each as f32).sqrt();
        let factors: Vec<f32> = (0..3 * channels).map(|output| if output < channels { factor } else { 1.0 }).collect();
        let dense = self.product(&folded.scaled(&factors), (channels, 3 * channels), Activation::Identity, x);
        let qkv = self.finish(dense, 3 * channels, Tail::default())?;
        let places = x.width;
        let padded = places.next_multiple_of(LANES);
        let [keys, values, scores] = [padded * each, places * each, padded * places].map(|size| self.heap.take(size));
        let out = self.map(channels, 1, places, 0);
        let taps = |count: usize| {
            let tap = |first: usize| Tap { at: (first * places) as u32, count: LANES.min(count - first) as u32 };
            Taps::new((0..count).step_by(LANES).map(tap).collect())
        };
        self.steps.push(Step::Attention(step::Attention {
            qkv: qkv.grid(),
            heads,
            channels: each,
            places,
            keys,
            values,
            scores,
            of_channels: taps(each),
            of_places: taps(places),
            zeros: Vectors::zeros(self.panel * LANES),
            out: out.grid(),
        }));
        for part in [qkv.part, keys, values, scores] {
            self.heap.give_back(part);
        }
        let done = self.linear(&after, out, tail)?;
        self.heap.give_back(out.part);
        Ok(done)
    }
}

/// Whether the windows of a convolution lie side by side on the image.
fn is_patches(conv: &Conv, x: Map) -> bool {
    x.is_planar && conv.stride == conv.kernel && conv.stride > 2
}

/// The zeros that the next of these blocks wants around its input, `after` behind the last.
fn border(blocks: &[Block], height: usize, width: usize, after: usize) -> usize {
    match blocks.first() {
        None => after,
        Some(Block::Conv(conv)) => {
            let ((top, bottom), (left, right)) = (conv.padding_of(height), conv.padding_of(width));
            top.max(bottom).max(left).max(right)
        }
        Some(Block::Residual(residual)) => {
            border(&residual.body, height, width, 0).max(border(&residual.shortcut, height, width, 0))
        }
        Some(Block::Concat(branches)) => {
            branches.iter().map(|branch| border(branch, height, width, 0)).max().unwrap_or_default()
        }
        _ => 0,
    }
}

/// Height and width behind a block.
fn output_size(block: &Block, (height, width): (usize, usize)) -> Option<(usize, usize)> {
    match block {
        Block::Conv(conv) => conv.output_size(height).zip(conv.output_size(width)),
        Block::MaxPool(pool) => pool.output_size(height).zip(pool.output_size(width)),
        Block::Residual(residual) => {
            residual.body.iter().try_fold((height, width), |size, block| output_size(block, size))
        }
        Block::Concat(branches) => {
            branches.first()?.iter().try_fold((height, width), |size, block| output_size(block, size))
        }
        Block::Tokens(tokens) => Some((1, tokens.places + 1)),
        Block::Mean | Block::FirstToken => Some((1, 1)),
        Block::Linear(_) | Block::LayerNorm(_) | Block::SqueezeExcite(_) | Block::Attention(_) => Some((height, width)),
    }
}
