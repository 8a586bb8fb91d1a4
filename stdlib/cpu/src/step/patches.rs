//! Windows side by side as channels.

use crate::kernels::LANES;
use crate::kernels::call::{Grid, Memory};

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
    pub(super) fn run(&self, memory: &mut Memory) {
        let numbers = memory.numbers_mut();
        let mut channel = 0;
        for plane in 0..self.channels {
            for ky in 0..self.side {
                for kx in 0..self.side {
                    let to = self.out.at + channel / LANES * self.out.plane + channel % LANES;
                    for y in 0..self.height {
                        let row = self.image + plane * self.image_plane + (y * self.side + ky) * self.image_row + kx;
                        for x in 0..self.width {
                            numbers[to + y * self.out.row + x * LANES] = numbers[row + x * self.side];
                        }
                    }
                    channel += 1;
                }
            }
        }
    }
}
