//! Windows side by side as channels.

use std::ops::Range;

use super::{Member, rows_of};
use crate::kernels::LANES;
use crate::kernels::call::Grid;
use crate::kernels::memory::View;

/// Windows side by side become channels: a planar image becomes a map of
/// `channels x side x side` channels.
#[derive(Debug)]
pub(crate) struct Patches {
    pub(crate) image: usize,
    pub(crate) image_row: usize,
    pub(crate) image_plane: usize,
    pub(crate) channels: usize,
    pub(crate) side: usize,
    pub(crate) out: Grid,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Patches {
    pub(super) fn run(&self, view: &mut View<'_>, member: Member) {
        for block in member.part(self.blocks()) {
            let last = (self.channels - 1) * self.image_plane + (self.height * self.side - 1) * self.image_row;
            let image = self.image..self.image + last + self.width * self.side;
            let Some(own) = self.rows(block..block + 1).pop() else { return };
            let (image, out) = view.pair(image, own);
            for lane in 0..LANES.min(self.channels * self.side * self.side - block * LANES) {
                let channel = block * LANES + lane;
                let (plane, ky, kx) =
                    (channel / (self.side * self.side), channel / self.side % self.side, channel % self.side);
                for y in 0..self.height {
                    let from = plane * self.image_plane + (y * self.side + ky) * self.image_row + kx;
                    for x in 0..self.width {
                        out[y * self.out.row + x * LANES + lane] = image[from + x * self.side];
                    }
                }
            }
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        self.rows(member.part(self.blocks()))
    }

    fn rows(&self, blocks: Range<usize>) -> Vec<Range<usize>> {
        rows_of(self.out, blocks, 0..self.height, self.width)
    }

    fn blocks(&self) -> usize {
        (self.channels * self.side * self.side).div_ceil(LANES)
    }
}
