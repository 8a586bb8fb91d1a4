//! Convolutions with one group, and dense layers.

use pipe_network::{Activation, Conv, Folded, Linear};

use super::map::Map;
use super::{Planned, Planner, Tail, Unsupported};
use crate::kernels::LANES;
use crate::kernels::call::Taps;
use crate::kernels::gemm::{Epilogue, Tap};
use crate::kernels::memory::Vectors;
use crate::pack;
use crate::step::{self, Step, Weights};

impl<'a> Planner<'a> {
    pub(super) fn conv(&mut self, conv: &Conv, x: Map, tail: Tail<'_>) -> Planned<Map> {
        if !is_patches(conv, x) {
            let dense = self.dense_of(conv, x, tail.scale)?;
            return self.finish(dense, conv.outputs, tail);
        }
        let (height, width) = conv.output_size(x.height).zip(conv.output_size(x.width)).ok_or(None)?;
        let patches = self.patches(conv, x, height, width);
        let folded = self.scaled(Folded::conv(conv, self.weights), tail.scale);
        let dense =
            self.product(&folded, Window::point(patches.channels, conv.outputs, patches), conv.activation, patches);
        let out = self.finish(dense, conv.outputs, tail)?;
        self.heap.give_back(patches.part);
        Ok(out)
    }

    pub(super) fn linear(&mut self, linear: &Linear, x: Map, tail: Tail<'_>) -> Planned<Map> {
        let folded = self.scaled(Folded::linear(linear, self.weights), tail.scale);
        let dense = self.product(&folded, Window::point(linear.inputs, linear.outputs, x), linear.activation, x);
        self.finish(dense, linear.outputs, tail)
    }

    /// Weights times the factors of that name.
    fn scaled(&self, folded: Folded, scale: Option<&str>) -> Folded {
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
    pub(super) fn dense_of(&self, conv: &Conv, x: Map, scale: Option<&str>) -> Planned<step::Dense> {
        let (height, width) = conv.output_size(x.height).zip(conv.output_size(x.width)).ok_or(None)?;
        if conv.is_depthwise() {
            return Err(Some(Unsupported::Block(format!("`{}`", conv.name))));
        }
        let window = Window {
            inputs: conv.inputs,
            outputs: conv.outputs,
            kernel: conv.kernel,
            stride: conv.stride,
            top: conv.padding_of(x.height).0,
            left: conv.padding_of(x.width).0,
            height,
            width,
        };
        let folded = self.scaled(Folded::conv(conv, self.weights), scale);
        Ok(self.product(&folded, window, conv.activation, x))
    }

    /// A matrix product over a window around each place, without its output.
    pub(super) fn product(&self, folded: &Folded, window: Window, activation: Activation, x: Map) -> step::Dense {
        let Window { inputs, outputs, kernel, stride, top, left, height, width } = window;
        let group = if x.is_planar { 1 } else { LANES };
        let mut taps = Vec::new();
        for first in (0..inputs).step_by(group) {
            for ky in 0..kernel {
                for kx in 0..kernel {
                    let at = first / group * x.plane + ky * x.row + kx * x.pixel();
                    taps.push(Tap { at: at as u32, count: group.min(inputs - first) as u32 });
                }
            }
        }
        step::Dense {
            x: x.at - top * x.row - left * x.pixel(),
            x_row: stride * x.row,
            step: stride * x.pixel(),
            taps: Taps::new(taps),
            is_flat: kernel == 1 && stride == 1 && x.is_flat(),
            weights: Weights::Own(pack::dense(&folded.weight, inputs, outputs, kernel, x.is_planar, self.panel)),
            bias: Vectors::of(&folded.bias),
            blocks: outputs.div_ceil(LANES),
            height,
            width,
            out: x.grid(),
            residual: None,
            epilogue: Epilogue { activation, add_last: false },
        }
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

/// What a product looks at around each place of its input, and what comes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    /// Zeros above and on the left.
    top: usize,
    left: usize,
    /// Places of the output.
    height: usize,
    width: usize,
}

impl Window {
    /// Each place alone.
    pub(super) fn point(inputs: usize, outputs: usize, x: Map) -> Self {
        Self { inputs, outputs, kernel: 1, stride: 1, top: 0, left: 0, height: x.height, width: x.width }
    }
}

/// Whether the windows of a convolution lie side by side on the image.
pub(super) fn is_patches(conv: &Conv, x: Map) -> bool {
    let is_bare = [x.height, x.width].map(|side| conv.padding_of(side)) == [(0, 0); 2];
    x.is_planar && conv.stride == conv.kernel && conv.stride > 2 && is_bare
}
