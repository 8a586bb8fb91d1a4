//! From the description of a network to the steps of its forward pass, for one size of images.
//!
//! Norms are folded into convolutions, squeeze-excite into the weights behind it, residuals and
//! activations into the writing of results. An expanding convolution and the depthwise one behind it
//! are one step. Each map gets a border of zeros where what reads it wants one.

mod dense;
mod depthwise;
mod map;
mod sequence;

use pipe_network::{Activation, Block, Classifier, MaxPool, Network, Residual, UnfitImage, Weights};

pub(crate) use self::map::Map;
use self::map::{border, output_size};
use crate::heap::Heap;
use crate::isa::Isa;
use crate::kernels::LANES;
use crate::step::{self, Step};

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
    pub(crate) logits: Option<Map>,
}

/// Why a network cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The image is too small, or not of the size that the network takes.
    #[error(transparent)]
    Size(UnfitImage),
    /// There are no kernels for a block, or not where it stands.
    #[error("no kernel for {0}")]
    Block(String),
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
        planner
            .network(network, height, width)
            .map_err(|unsupported| unsupported.unwrap_or_else(|| Unsupported::Size(network.unfit(height, width))))
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
        Ok(Plan { isa: self.isa, steps: self.steps, memory: self.heap.size(), image, until_features, features, logits })
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
            Block::PatchTokens => {
                self.heap.keep(x.part);
                Ok(Map { at: x.at + LANES, width: x.width.checked_sub(1).ok_or(None)?, ..x })
            }
            Block::SqueezeExcite(block) => {
                Err(Some(Unsupported::Block(format!("`{}`, which follows no depthwise convolution", block.name))))
            }
        }
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
}
