//! The steps of a forward pass: what is computed from which part of the memory into which.

mod attention;
mod clear;
mod dense;
mod depthwise;
mod excite;
mod norm;
mod patches;
mod pool;

pub(crate) use attention::{Attention, Tokens};
pub(crate) use clear::Clear;
pub(crate) use dense::{Dense, Weights};
pub(crate) use depthwise::{Depthwise, Input, Ring};
pub(crate) use excite::{Excite, Scales};
pub(crate) use norm::LayerNorm;
pub(crate) use patches::Patches;
pub(crate) use pool::{Mean, Pool};

use crate::kernels::Kernels;
use crate::kernels::call::Memory;

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
