//! Convolutions with one group, and dense layers.

use pipe_network::{Activation, Conv, Folded, Linear};

use super::map::Map;
use super::{Planned, Planner, Tail, Unsupported};
use crate::kernels::LANES;
use crate::kernels::call::{Taps, Vectors};
use crate::kernels::gemm::{Epilogue, Tap};
use crate::pack;
use crate::step::{self, Step};

impl<'a> Planner<'a> {
    pub(super) fn conv(&mut self, conv: &Conv, x: Map, tail: Tail<'_>) -> Planned<Map> {
        self.conv_scaled(conv, x, tail, None)
    }

    pub(super) fn conv_scaled(&mut self, conv: &Conv, x: Map, tail: Tail<'_>, scaled: Option<usize>) -> Planned<Map> {
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

    pub(super) fn folded(&self, conv: &Conv, scale: Option<&str>) -> Folded {
        let folded = Folded::conv(conv, self.weights);
        match scale {
            Some(scale) => folded.scaled(self.weights.numbers(scale)),
            None => folded,
        }
    }

    /// Gives a product its output and what is added to it.
    pub(super) fn finish(&mut self, mut dense: step::Dense, outputs: usize, tail: Tail<'_>) -> Planned<Map> {
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
    pub(super) fn dense_of(&mut self, conv: &Conv, x: Map, scale: Option<&str>) -> Planned<step::Dense> {
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
    pub(super) fn product(
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

    pub(super) fn linear(&mut self, linear: &Linear, x: Map, tail: Tail<'_>) -> Planned<Map> {
        let mut folded = Folded::linear(linear, self.weights);
        if let Some(scale) = tail.scale {
            folded = folded.scaled(self.weights.numbers(scale));
        }
        let dense = self.product(&folded, (linear.inputs, linear.outputs), linear.activation, x);
        self.finish(dense, linear.outputs, tail)
    }

    /// The windows of a convolution whose windows lie side by side.
    pub(super) fn patches(&mut self, conv: &Conv, x: Map, height: usize, width: usize) -> Map {
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
}

/// Whether the windows of a convolution lie side by side on the image.
pub(super) fn is_patches(conv: &Conv, x: Map) -> bool {
    x.is_planar && conv.stride == conv.kernel && conv.stride > 2
}
