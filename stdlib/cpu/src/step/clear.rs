//! A border of zeros.

use crate::kernels::call::Memory;

/// Puts zeros around a map.
#[derive(Debug)]
pub(crate) struct Clear {
    /// The first place of the border.
    pub(crate) at: usize,
    pub(crate) planes: usize,
    pub(crate) plane: usize,
    pub(crate) row: usize,
    /// Rows above and below.
    pub(crate) rows: usize,
    pub(crate) height: usize,
    /// Numbers on the left and on the right.
    pub(crate) side: usize,
}

impl Clear {
    pub(super) fn run(&self, memory: &mut Memory) {
        let numbers = memory.numbers_mut();
        let rows = self.height + 2 * self.rows;
        for plane in 0..self.planes {
            let at = self.at + plane * self.plane;
            let band = self.rows * self.row;
            numbers[at..at + band].fill(0.0);
            numbers[at + (rows - self.rows) * self.row..][..band].fill(0.0);
            for y in self.rows..rows - self.rows {
                let row = &mut numbers[at + y * self.row..][..self.row];
                row[..self.side].fill(0.0);
                row[self.row - self.side..].fill(0.0);
            }
        }
    }
}
