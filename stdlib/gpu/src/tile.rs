//! Tiles: places side by side that one thread computes, so that it reads what they share once.

use cubecl::prelude::*;

use crate::Window;

/// Places of a tile.
const PLACES: usize = 8;

/// How a tile goes over maps, known when a kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    pub(crate) window: Window,
    /// Whether gradients of the output are taken back to the input.
    pub(crate) is_back: bool,
}

impl Tile {
    pub(crate) fn places(&self) -> usize {
        // Backwards the first lies where the kernel does for a place of the output.
        if self.is_back { PLACES.next_multiple_of(self.window.stride[1]) } else { PLACES }
    }

    /// Columns that are read before the one which the first place lies at.
    pub(crate) fn before(&self) -> usize {
        let Window { kernel: [_, width], stride: [_, stride], padding: [_, padding] } = self.window;
        if self.is_back { (width - 1).saturating_sub(padding) / stride } else { padding }
    }

    /// Columns that are read.
    pub(crate) fn span(&self) -> usize {
        let Window { kernel: [_, width], stride: [_, stride], padding: [_, padding] } = self.window;
        let last = self.places() - 1;
        if self.is_back { (last + padding) / stride + self.before() + 1 } else { last * stride + width }
    }

    /// The kernel's column with which a column that is read counts for a place, if it does.
    pub(crate) fn tap(&self, column: usize, place: usize) -> Option<usize> {
        let Window { kernel: [_, width], stride: [_, stride], padding: [_, padding] } = self.window;
        let tap = if self.is_back {
            (place + padding + self.before() * stride).checked_sub(column * stride)
        } else {
            column.checked_sub(place * stride)
        };
        tap.filter(|tap| *tap < width)
    }
}

/// The row that counts with the kernel's `row` for the row `y`; where there is none, one that is not below
/// `height`: a difference below 0 wraps to a large number.
#[cube]
pub(crate) fn read_row(y: usize, #[comptime] row: usize, height: usize, #[comptime] tile: Tile) -> usize {
    let stride = comptime![tile.window.stride[0]];
    if comptime![tile.is_back] {
        let above = y + comptime![tile.window.padding[0]] - row;
        let place = above / stride;
        select(place * stride == above, place, height)
    } else {
        y * stride + row - comptime![tile.window.padding[0]]
    }
}

/// The first column that is read for a tile that begins at the place `first`; before 0 it wraps to a large number.
#[cube]
pub(crate) fn read_column(first: usize, #[comptime] tile: Tile) -> usize {
    let stride = comptime![tile.window.stride[1]];
    let start = if comptime![tile.is_back] { first / stride } else { first * stride };
    start - comptime![tile.before()]
}

/// Where the tile of a thread lies.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) lane: usize,
    pub(crate) image: usize,
    /// Its row of the output, those of all images counted through.
    pub(crate) line: usize,
    /// Its row of the image's output.
    pub(crate) row: usize,
    /// Its first place.
    pub(crate) first: usize,
    /// The first column that is read for it, as of [`read_column`].
    pub(crate) start: usize,
}

/// The tile of this thread: neighbours have neighbouring lanes.
#[cube]
pub(crate) fn spot(lanes: usize, tiles: usize, out_height: usize, #[comptime] tile: Tile) -> Spot {
    let at = ABSOLUTE_POS / lanes;
    let first = at % tiles * comptime![tile.places()];
    let line = at / tiles;
    Spot {
        lane: ABSOLUTE_POS % lanes,
        image: line / out_height,
        line,
        row: line % out_height,
        first,
        start: read_column(first, tile),
    }
}

/// What the sums of a lane begin with.
#[cube]
pub(crate) fn summand<G: Float, N: Size>(bias: &ComptimeOption<Array<Vector<G, N>>>, lane: usize) -> Vector<f32, N> {
    #[comptime]
    match bias {
        ComptimeOption::Some(bias) => Vector::<f32, N>::cast_from(bias.read_unchecked(lane)),
        ComptimeOption::None => Vector::<f32, N>::new(0.0),
    }
}
