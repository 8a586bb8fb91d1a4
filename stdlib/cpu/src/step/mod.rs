//! The steps of a forward pass: what is computed from which part of the memory into which.

mod attention;
mod clear;
mod dense;
mod depthwise;
mod excite;
mod member;
mod norm;
mod patches;
mod pool;

use std::ops::Range;

pub(crate) use attention::{Attention, Tokens};
pub(crate) use clear::Clear;
pub(crate) use dense::{Dense, Weights};
pub(crate) use depthwise::{Depthwise, Input, Ring, Split, Sums};
pub(crate) use excite::{Excite, Scale, Scaled};
pub(crate) use member::Member;
pub(crate) use norm::LayerNorm;
pub(crate) use patches::Patches;
pub(crate) use pool::{Mean, Pool};

use crate::kernels::call::Grid;
use crate::kernels::memory::View;
use crate::kernels::{Kernels, LANES};

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    Clear(Clear),
    Patches(Patches),
    Dense(Dense),
    Depthwise(Depthwise),
    Sums(Sums),
    Excite(Excite),
    Scale(Scale),
    MaxPool(Pool),
    Mean(Mean),
    LayerNorm(LayerNorm),
    Tokens(Tokens),
    Attention(Attention),
}

impl Step {
    /// Does a member's part.
    pub(crate) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        match self {
            Self::Clear(step) => step.run(view, member),
            Self::Patches(step) => step.run(view, member),
            Self::Dense(step) => step.run(view, kernels, member),
            Self::Depthwise(step) => step.run(view, kernels, member),
            Self::Sums(step) => step.run(view, kernels, member),
            Self::Excite(step) => step.run(view, kernels, member),
            Self::Scale(step) => step.run(view, kernels, member),
            Self::MaxPool(step) => step.run(view, kernels, member),
            Self::Mean(step) => step.run(view, kernels, member),
            Self::LayerNorm(step) => step.run(view, kernels, member),
            Self::Tokens(step) => step.run(view, kernels, member),
            Self::Attention(step) => step.run(view, kernels, member),
        }
    }

    /// The numbers that a member writes to.
    pub(crate) fn owned(&self, kernels: &Kernels, member: Member) -> Vec<Range<usize>> {
        match self {
            Self::Clear(step) => step.owned(member),
            Self::Patches(step) => step.owned(member),
            Self::Dense(step) => step.owned(kernels, member),
            Self::Depthwise(step) => step.owned(kernels, member),
            Self::Sums(step) => step.owned(member),
            Self::Excite(step) => step.owned(member),
            Self::Scale(step) => step.owned(kernels, member),
            Self::MaxPool(step) => step.owned(member),
            Self::Mean(step) => step.owned(member),
            Self::LayerNorm(step) => step.owned(member),
            Self::Tokens(step) => step.owned(member),
            Self::Attention(step) => step.owned(member),
        }
    }

    /// Numbers that each member needs room for beside the maps.
    pub(crate) fn room(&self, kernels: &Kernels) -> usize {
        match self {
            Self::Depthwise(step) => step.room(kernels),
            Self::Attention(step) => step.room(),
            _ => 0,
        }
    }
}

/// Units that lie one after another, of `each` numbers.
fn units_of(at: usize, units: Range<usize>, each: usize) -> Vec<Range<usize>> {
    std::iter::once(at + units.start * each..at + units.end * each).collect()
}

/// Rows of a map, of each of some blocks.
fn rows_of(out: Grid, blocks: Range<usize>, rows: Range<usize>, width: usize) -> Vec<Range<usize>> {
    let row = |block: usize, y: usize| out.at + block * out.plane + y * out.row;
    let is_empty = rows.is_empty();
    let of = |block| row(block, rows.start)..row(block, rows.end - 1) + width * LANES;
    blocks.filter(|_| !is_empty).map(of).collect()
}
