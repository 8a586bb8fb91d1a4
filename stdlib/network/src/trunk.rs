//! A trunk as it grows, block by block as its paper counts them.

use crate::block::{Block, Residual};

/// The blocks of a trunk, and how many in a row are one block of its paper.
#[derive(Debug, Default)]
pub(crate) struct Trunk {
    pub(crate) blocks: Vec<Block>,
    pub(crate) units: Vec<usize>,
}

impl Trunk {
    /// Adds a block that counts by itself.
    pub(crate) fn push(&mut self, block: Block) {
        self.unit(vec![block]);
    }

    /// Adds blocks in a row that count as one.
    pub(crate) fn unit(&mut self, blocks: Vec<Block>) {
        self.units.push(blocks.len());
        self.blocks.extend(blocks);
    }

    /// Adds blocks that count as one, around which the input goes where it fits the output.
    pub(crate) fn join(&mut self, body: Vec<Block>, is_residual: bool) {
        if is_residual {
            self.push(Block::Residual(Residual::plain(body)));
        } else {
            self.unit(body);
        }
    }
}
