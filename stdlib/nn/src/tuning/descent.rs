//! Weights that follow their gradients.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use pipe_gpu::{AdamWStep, SgdStep};

use super::entry::{Entry, Group};
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

/// Moves tensors, and keeps of their gradients what that takes.
pub(super) struct Optimizer<B: Backend> {
    descent: Descent,
    weight_decay: f64,
    steps: i32,
    /// The running mean of each tensor's gradients, or its velocity.
    means: Vec<Option<Tensor<B, 4>>>,
    /// That of their squares, which AdamW alone asks for.
    squares: Vec<Option<Tensor<B, 4>>>,
}

impl<B: Operations> Optimizer<B> {
    /// For so many tensors.
    pub(super) fn new(descent: Descent, weight_decay: f64, tensors: usize) -> Self {
        Self { descent, weight_decay, steps: 0, means: vec![None; tensors], squares: vec![None; tensors] }
    }

    /// Moves the tensors that have a gradient.
    pub(super) fn step(
        &mut self,
        entries: &[Entry],
        tensors: &mut [Tensor<B, 4>],
        gradients: Vec<Option<Tensor<B, 4>>>,
        lr: f64,
    ) {
        self.steps = self.steps.saturating_add(1);
        for (at, gradient) in gradients.into_iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let weight = tensors[at].clone();
            let weight_decay = if entries[at].group == Group::Decaying { self.weight_decay } else { 0.0 };
            let mean = self.means[at].take().unwrap_or_else(|| weight.zeros_like());
            let (weight, mean) = match self.descent {
                Descent::AdamW { betas: (first, second), eps } => {
                    let step = AdamWStep {
                        keep: (1.0 - lr * weight_decay) as f32,
                        betas: [first as f32, second as f32],
                        rate: (lr / (1.0 - first.powi(self.steps))) as f32,
                        unbias: (1.0 / (1.0 - second.powi(self.steps))) as f32,
                        eps: eps as f32,
                    };
                    let square = self.squares[at].take().unwrap_or_else(|| weight.zeros_like());
                    let [weight, mean, square] = B::adamw(weight, gradient, [mean, square], step);
                    self.squares[at] = Some(square);
                    (weight, mean)
                }
                Descent::Sgd { momentum } => {
                    let step = SgdStep { lr: lr as f32, momentum: momentum as f32, weight_decay: weight_decay as f32 };
                    let [weight, velocity] = B::sgd(weight, gradient, mean, step);
                    (weight, velocity)
                }
            };
            (tensors[at], self.means[at]) = (weight, Some(mean));
        }
    }
}
