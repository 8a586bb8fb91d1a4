//! A border of zeros.

use std::ops::Range;

use super::{Member, units_of};
use crate::kernels::memory::View;

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
    pub(super) fn run(&self, view: &mut View<'_>, member: Member) {
        let rows = self.height + 2 * self.rows;
        for plane in member.part(self.planes) {
            let at = self.at + plane * self.plane;
            let numbers = view.own(at..at + rows * self.row);
            let band = self.rows * self.row;
            let (above, rest) = numbers.split_at_mut(band);
            let (middle, below) = rest.split_at_mut(self.height * self.row);
            above.fill(0.0);
            below.fill(0.0);
            for row in middle.chunks_exact_mut(self.row) {
                row[..self.side].fill(0.0);
                row[self.row - self.side..].fill(0.0);
            }
        }
    }

    pub(super) fn owned(&self, member: Member) -> Vec<Range<usize>> {
        units_of(self.at, member.part(self.planes), self.plane)
    }
}
