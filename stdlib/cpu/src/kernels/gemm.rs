//! Matrix products: convolutions of any kernel, dense layers, attention.
//!
//! A tile of up to fourteen pixels by two vectors of output channels stays in registers while the
//! sum over taps and channels is made; then the epilogue writes it.

use pipe_network::Activation;

use super::function::activate;
use super::simd::{LANES, Simd};

/// Numbers of the input that lie one after another, each with a row of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Where they begin, from the tap of the first pixel on.
    pub(crate) at: u32,
    /// How many they are.
    pub(crate) count: u32,
}

/// Where pixels lie in a map: rows of `width`, `row` numbers apart, a vector each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid<P> {
    pub(super) at: P,
    /// Numbers from a row to the next.
    pub(super) row: usize,
    /// Numbers from a block of channels to the next.
    pub(super) plane: usize,
}

/// What is done to a sum before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epilogue {
    pub(crate) activation: Activation,
    /// Whether the residual is added after the activation, not before.
    pub(crate) add_last: bool,
}

/// One panel of output channels for some pixels.
pub(super) struct Product<'a> {
    /// The first tap of the first pixel.
    pub(super) x: *const f32,
    /// Numbers from a pixel to the next.
    pub(super) step: usize,
    pub(super) taps: &'a [Tap],
    /// `[taps][count][vectors of the panel]`.
    pub(super) weights: *const f32,
    pub(super) bias: *const f32,
    /// Vectors of output channels.
    pub(super) vectors: usize,
    pub(super) pixels: usize,
    /// The place of the first pixel in its row, and pixels in a row of the output.
    pub(super) column: usize,
    pub(super) width: usize,
    pub(super) out: Grid<*mut f32>,
    pub(super) residual: Option<Grid<*const f32>>,
    pub(super) epilogue: Epilogue,
}

/// Repeats a block for `R` in `0..$n`, unrolled: accumulators that are indexed by a variable of a loop
/// would be loaded and stored at every step.
macro_rules! unroll {
    ($n:expr, $r:ident, $block:block) => {
        unroll!(@ $n, $r, $block, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $n:expr, $r:ident, $block:block, $($index:literal)*) => {
        $(if $index < $n {
            #[allow(non_upper_case_globals)]
            const $r: usize = $index;
            $block
        })*
    };
}
pub(super) use unroll;

/// Pixels of the largest tile of any instruction set.
pub(super) const MOST: usize = 14;

/// All pixels of a product, in tiles of nearly equal size.
#[inline(always)]
pub(super) unsafe fn product<S: Simd>(product: &Product<'_>) {
    let mut cursor = Cursor::new(product);
    let tiles = product.pixels.div_ceil(S::TILE);
    let (each, larger) = (product.pixels / tiles.max(1), product.pixels % tiles.max(1));
    for tile in 0..tiles {
        let pixels = each + usize::from(tile < larger);
        match (product.step, product.vectors) {
            (16, 2) => sized::<S, 2, 16>(product, &mut cursor, pixels),
            (16, _) => sized::<S, 1, 16>(product, &mut cursor, pixels),
            (32, 2) => sized::<S, 2, 32>(product, &mut cursor, pixels),
            (32, _) => sized::<S, 1, 32>(product, &mut cursor, pixels),
            (_, 2) => sized::<S, 2, 0>(product, &mut cursor, pixels),
            (_, _) => sized::<S, 1, 0>(product, &mut cursor, pixels),
        }
    }
}

#[inline(always)]
unsafe fn sized<S: Simd, const V: usize, const STEP: usize>(product: &Product<'_>, cursor: &mut Cursor, pixels: usize) {
    macro_rules! tiles {
        ($($n:literal)*) => {
            match pixels {
                // Sizes beyond the largest are not compiled.
                $($n if $n <= S::TILE => tile::<S, V, STEP, $n>(product, cursor),)*
                _ => {}
            }
        };
    }
    tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

#[inline(always)]
unsafe fn tile<S: Simd, const V: usize, const STEP: usize, const N: usize>(product: &Product<'_>, cursor: &mut Cursor) {
    let step = if STEP == 0 { product.step } else { STEP };
    let mut sums = [[S::splat(0.0); 2]; MOST];
    let bias = [S::load(product.bias), S::load(product.bias.add((V - 1) * LANES))];
    unroll!(N, r, {
        sums[r] = bias;
    });
    let mut weights = product.weights;
    let x = product.x.add(cursor.pixel * step);
    for tap in product.taps {
        let mut x = x.add(tap.at as usize);
        for _ in 0..tap.count {
            let first = S::load(weights);
            let second = if V == 2 { S::load(weights.add(LANES)) } else { first };
            unroll!(N, r, {
                let number = S::splat(*x.add(r * step));
                sums[r][0] = number.mul_add(first, sums[r][0]);
                if V == 2 {
                    sums[r][1] = number.mul_add(second, sums[r][1]);
                }
            });
            x = x.add(1);
            weights = weights.add(V * LANES);
        }
    }
    // A copy that may lie in memory, as the sums must not.
    let mut done = [[S::splat(0.0); V]; N];
    unroll!(N, r, {
        done[r][0] = sums[r][0];
        if V == 2 {
            done[r][V - 1] = sums[r][1];
        }
    });
    S::write(cursor, product, done.as_flattened());
}

/// Where the next pixel of a product goes.
pub(super) struct Cursor {
    pixel: usize,
    column: usize,
    out: *mut f32,
    residual: *const f32,
}

impl Cursor {
    #[inline(always)]
    unsafe fn new(product: &Product<'_>) -> Self {
        let residual = product.residual.map_or(std::ptr::null(), |grid| grid.at);
        Self { pixel: 0, column: product.column, out: product.out.at, residual }
    }

    /// Writes the sums of pixels, each with all its vectors.
    #[inline(always)]
    pub(super) unsafe fn write<S: Simd>(&mut self, product: &Product<'_>, done: &[S]) {
        let out_gap = product.out.row - product.width * LANES;
        let (residual_gap, residual_plane) =
            product.residual.map_or((0, 0), |grid| (grid.row - product.width * LANES, grid.plane));
        let Epilogue { activation, add_last } = product.epilogue;
        for sums in done.chunks_exact(product.vectors) {
            for (vector, &sum) in sums.iter().enumerate() {
                let value = if self.residual.is_null() {
                    activate(activation, sum)
                } else {
                    let residual = S::load(self.residual.add(vector * residual_plane));
                    if add_last {
                        activate(activation, sum).add(residual)
                    } else {
                        activate(activation, sum.add(residual))
                    }
                };
                value.store(self.out.add(vector * product.out.plane));
            }
            self.pixel += 1;
            self.column += 1;
            let ends_row = self.column == product.width;
            if ends_row {
                self.column = 0;
            }
            // Behind the last pixel they may point beyond the map.
            self.out = self.out.wrapping_add(LANES + if ends_row { out_gap } else { 0 });
            if !self.residual.is_null() {
                self.residual = self.residual.wrapping_add(LANES + if ends_row { residual_gap } else { 0 });
            }
        }
    }
}
