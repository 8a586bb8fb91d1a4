//! Depthwise convolutions, with what feeds them and squeeze-excite behind them.

use pipe_network::{Block, Conv, Folded, SqueezeExcite};

use super::dense::is_patches;
use super::map::{Map, border};
use super::{Planned, Planner, Tail, Unsupported};
use crate::kernels::call::Grid;
use crate::kernels::memory::Vectors;
use crate::kernels::{LANES, depthwise};
use crate::pack;
use crate::step::{self, Input, Ring, Scaled, Split, Step, Weights};

impl<'a> Planner<'a> {
    /// A depthwise convolution, together with what makes its input before it and squeeze-excite and
    /// the convolution behind it, as far as they are there. Gives how many blocks that were.
    pub(super) fn fused(
        &mut self,
        block: &'a Block,
        rest: &'a [Block],
        x: Map,
        tail: Tail<'a>,
    ) -> Planned<Option<(Map, usize)>> {
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
            let (pixels, blocks) = (map.height * map.width, map.blocks());
            self.excite(squeeze, pool, map, Scaled::Map { at: map.at, pixels, blocks });
            return Ok(Some((map, used)));
        };
        let tail = if behind.is_empty() { tail } else { self.tail_of(behind, map, &rest[0], tail) };
        let mut dense = self.dense_of(conv, map, tail.scale)?;
        let blocks = dense.blocks;
        let to = self.heap.take(conv.inputs * blocks * LANES);
        if let Weights::Own(weights) = std::mem::replace(&mut dense.weights, Weights::Scaled(to)) {
            self.excite(squeeze, pool, map, Scaled::Weights { weights, inputs: conv.inputs, blocks, to });
        }
        let next = self.finish(dense, conv.outputs, tail)?;
        self.heap.give_back(to);
        self.heap.give_back(map.part);
        Ok(Some((next, used + 1)))
    }

    /// The output of a depthwise convolution, and where its channels' sums are if they are wanted.
    pub(super) fn depthwise(
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
        let (units, is_whole) = match &input {
            Input::Map(_) => (blocks, false),
            Input::Ring(ring) => (blocks.div_ceil(self.panel), ring.chunk > 1),
        };
        let split = Split { units, height, kernel: conv.kernel, stride: conv.stride, is_whole };
        self.steps.push(Step::Depthwise(step::Depthwise {
            input,
            split,
            weights: pack::depthwise(&folded.weight, conv.outputs, conv.kernel),
            bias: Vectors::of(&folded.bias),
            blocks,
            activation: conv.activation,
            out: map.grid(),
            width,
            pool,
        }));
        if let Some(out) = pool {
            self.steps.push(Step::Sums(step::Sums { split, map: map.grid(), width, blocks, out }));
        }
        if let Some(ring) = ring_part {
            self.heap.give_back(ring);
        }
        Ok((map, pool))
    }

    pub(super) fn excite(&mut self, block: &SqueezeExcite, pool: usize, map: Map, scaled: Scaled) {
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
        }));
        self.steps.push(Step::Scale(step::Scale { factors, scaled }));
        for part in [between, factors, pool] {
            self.heap.give_back(part);
        }
    }
}
