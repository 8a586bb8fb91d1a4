//! What many places become one by.

use pipe_network::MaxPool;

use crate::kernels::Kernels;
use crate::kernels::call::{self, Grid, Memory};

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
    pub(super) fn run(&self, memory: &mut Memory, kernels: &Kernels) {
        let MaxPool { kernel, stride, padding, .. } = self.pool;
        for block in 0..self.blocks {
            for y in 0..self.out_size.0 {
                memory.max_pool(
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
}
