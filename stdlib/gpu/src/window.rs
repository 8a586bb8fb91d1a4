//! Kernels that go over maps, from one place to the next.

use cubecl::prelude::*;

/// How a kernel goes over maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Rows and columns from one place to the next.
    pub stride: [usize; 2],
    /// Rows and columns of zeros around the maps.
    pub padding: [usize; 2],
}

impl Window {
    /// That of a kernel of one place, which goes to every one.
    pub const ONE: Self = Self { kernel: [1; 2], stride: [1; 2], padding: [0; 2] };

    /// Height and width of what comes out of maps of that height and width; 0 where the kernel is larger.
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|side| {
            let room = (input[side] + 2 * self.padding[side]).checked_sub(self.kernel[side]);
            room.map_or(0, |room| room / self.stride[side] + 1)
        })
    }
}

/// Which place of the output has a place of the padded maps below its kernel's row (or column) `offset`;
/// `places`, which is how many there are, or more where none has.
#[cube]
pub(crate) fn above(at: usize, offset: usize, places: usize, #[comptime] stride: usize) -> usize {
    let mut place = places;
    if at >= offset && (at - offset) / stride * stride == at - offset {
        place = (at - offset) / stride;
    }
    place
}
