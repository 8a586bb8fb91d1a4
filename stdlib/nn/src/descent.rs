//! Weights that follow their gradients.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use pipe_gpu::{AdamWStep, SgdStep};

use crate::flat::Layout;
use crate::operations::Operations;

/// How weights follow gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Descent {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW {
        /// Decay of the running means of the gradient and of its square.
        betas: (f64, f64),
        /// Added to the denominator.
        eps: f64,
    },
    /// Stochastic gradient descent with this momentum, as PyTorch has it.
    Sgd {
        /// What stays of the last step, in 0..1.
        momentum: f64,
    },
}

/// Moves tensors that lie in a flat one, and keeps of their gradients what that takes.
pub(crate) struct Optimizer<B: Backend> {
    layout: Layout,
    descent: Descent,
    weight_decay: f64,
    steps: i32,
    /// The running mean of the gradients, or the velocity.
    mean: Option<Tensor<B, 1>>,
    /// The running mean of their squares, which AdamW alone asks for.
    square: Option<Tensor<B, 1>>,
}

impl<B: Operations> Optimizer<B> {
    pub(crate) fn new(layout: Layout, descent: Descent, weight_decay: f64) -> Self {
        Self { layout, descent, weight_decay, steps: 0, mean: None, square: None }
    }

    /// Where each tensor is after a step, given the gradient of each.
    pub(crate) fn step(&mut self, weights: Tensor<B, 1>, gradients: Vec<Tensor<B, 4>>, lr: f64) -> Tensor<B, 1> {
        if gradients.is_empty() {
            return weights;
        }
        self.steps = self.steps.saturating_add(1);
        let piece = |(at, gradient)| self.layout.piece(at, gradient, 1.0);
        let gradients = gradients.into_iter().enumerate().map(piece).collect();
        let mean = self.mean.take().unwrap_or_else(|| weights.zeros_like());
        match self.descent {
            Descent::AdamW { betas: (first, second), eps } => {
                let step = AdamWStep {
                    keep: (1.0 - lr * self.weight_decay) as f32,
                    betas: [first as f32, second as f32],
                    rate: (lr / (1.0 - first.powi(self.steps))) as f32,
                    unbias: (1.0 / (1.0 - second.powi(self.steps))) as f32,
                    eps: eps as f32,
                };
                let square = self.square.take().unwrap_or_else(|| weights.zeros_like());
                let [weights, mean, square] = B::adamw(weights, gradients, [mean, square], step);
                (self.mean, self.square) = (Some(mean), Some(square));
                weights
            }
            Descent::Sgd { momentum } => {
                let weight_decay = self.weight_decay as f32;
                let step = SgdStep { lr: lr as f32, momentum: momentum as f32, weight_decay };
                let [weights, velocity] = B::sgd(weights, gradients, mean, step);
                self.mean = Some(velocity);
                weights
            }
        }
    }
}
