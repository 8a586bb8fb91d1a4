//! What many places become one by.

use std::ops::Range;

use pipe_network::MaxPool;

use super::{Member, rows_of, units_of};
use crate::kernels::call::{self, Grid};
use crate::kernels::memory::View;
use crate::kernels::{Kernels, LANES};

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) pool: MaxPool,
    pub(crate) map: Grid,
    pub(crate) size: (usize, usize),
    pub(crate) out: Grid,
    pub(crate) out_size: (usize, usize),
    pub(crate) blocks: usize,
}

#[derive(Debug)]
pub(crate) struct Mean {
    pub(crate) map: Grid,
    pub(crate) size: (usize, usize),
    pub(crate) blocks: usize,
    pub(crate) out: usize,
}

impl Pool {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let MaxPool { kernel, stride, padding, .. } = self.pool;
        for block in member.part(self.blocks) {
            for y in 0..self.out_size.0 {
                view.max_pool(
                    kernels,
                    &call::MaxPool {
                        map: self.map.at + block * self.map.plane,
                        row: self.map.row,
                        width: self.size.1,
                        first: (y * stride).saturating_sub(padding),
                        last: (y * stride + kernel - padding).min(self.size.0),
                        kernel,
                        stride,
                        padding,
                        out: self.out.at + block * self.out.plane + y * self.out.row,
                        out_width: self.out_size.1,
                    },
                );
            }
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        rows_of(self.out, member.part(self.blocks), 0..self.out_size.0, self.out_size.1)
    }
}

impl Mean {
    pub(super) fn run(&self, view: &mut View<'_>, kernels: &Kernels, member: Member) {
        let blocks = member.part(self.blocks);
        if !blocks.is_empty() {
            let map = Grid { at: self.map.at + blocks.start * self.map.plane, ..self.map };
            view.mean(kernels, map, self.size, blocks.len(), self.out + blocks.start * LANES);
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        units_of(self.out, member.part(self.blocks), LANES)
    }
}
