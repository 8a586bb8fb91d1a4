//! Maps in the memory, and the borders that they need.

use pipe_network::Block;

use crate::kernels::LANES;
use crate::kernels::call::Grid;

/// A map in the memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Map {
    /// The part of the heap that holds it.
    pub(super) part: usize,
    pub(crate) at: usize,
    pub(crate) row: usize,
    pub(crate) plane: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Whether a plane holds one channel and not sixteen.
    pub(super) is_planar: bool,
}

impl Map {
    pub(super) fn grid(&self) -> Grid {
        Grid { at: self.at, row: self.row, plane: self.plane }
    }

    pub(super) fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Numbers from a pixel to the next.
    pub(super) fn pixel(&self) -> usize {
        if self.is_planar { 1 } else { LANES }
    }

    pub(super) fn is_flat(&self) -> bool {
        self.row == self.width * self.pixel()
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }
}

/// The zeros that the next of these blocks wants around its input, `after` behind the last.
pub(super) fn border(blocks: &[Block], height: usize, width: usize, after: usize) -> usize {
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
pub(super) fn output_size(block: &Block, (height, width): (usize, usize)) -> Option<(usize, usize)> {
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
        Block::PatchTokens => Some((height, width.checked_sub(1)?)),
        Block::Linear(_) | Block::LayerNorm(_) | Block::SqueezeExcite(_) | Block::Attention(_) => Some((height, width)),
    }
}
