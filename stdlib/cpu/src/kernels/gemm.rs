//! Matrix products: convolutions of any kernel, dense layers, attention.
//!
//! A tile of up to fourteen pixels by two vectors of output channels stays in registers while the
//! sum over taps and channels is made; then the epilogue writes it.

use pipe_network::Activation;

use super::function::activate;
#[cfg(target_arch = "aarch64")]
use super::simd::V128;
use super::simd::{LANES, Plain, Simd, tiles};
#[cfg(target_arch = "x86_64")]
use super::simd::{V256, V512};

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
    /// Pixels in a row of the output.
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
pub(super) unsafe fn product<S: Write>(product: &Product<'_>) {
    let mut cursor = Cursor::new(product);
    for pixels in tiles(product.pixels, S::TILE) {
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
unsafe fn sized<S: Write, const V: usize, const STEP: usize>(
    product: &Product<'_>,
    cursor: &mut Cursor,
    pixels: usize,
) {
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
unsafe fn tile<S: Write, const V: usize, const STEP: usize, const N: usize>(
    product: &Product<'_>,
    cursor: &mut Cursor,
) {
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
    if let Some(limits) = limits(product.epilogue.activation)
        && cursor.column + N <= product.width
    {
        // From registers to where they belong.
        let (low, high) = (S::splat(limits[0]), S::splat(limits[1]));
        let (out, residual) = (cursor.out, cursor.residual);
        let residual_plane = product.residual.map_or(0, |grid| grid.plane);
        if residual.is_null() {
            unroll!(N, r, {
                sums[r][0].max(low).min(high).store(out.add(r * LANES));
                if V == 2 {
                    sums[r][1].max(low).min(high).store(out.add(product.out.plane + r * LANES));
                }
            });
        } else {
            unroll!(N, r, {
                let other = S::load(residual.add(r * LANES));
                let add_last = product.epilogue.add_last;
                added(sums[r][0], other, low, high, add_last).store(out.add(r * LANES));
                if V == 2 {
                    let other = S::load(residual.add(residual_plane + r * LANES));
                    let sum = added(sums[r][1], other, low, high, add_last);
                    sum.store(out.add(product.out.plane + r * LANES));
                }
            });
        }
        cursor.advance(product, N);
        return;
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
        Self { pixel: 0, column: 0, out: product.out.at, residual }
    }

    /// Writes the sums of pixels, each with all its vectors.
    #[inline(always)]
    pub(super) unsafe fn write<S: Simd>(&mut self, product: &Product<'_>, done: &[S]) {
        match product.epilogue.activation {
            Activation::Identity => self.write_with::<S, IDENTITY>(product, done),
            Activation::Relu => self.write_with::<S, RELU>(product, done),
            Activation::Relu6 => self.write_with::<S, RELU6>(product, done),
            Activation::Silu => self.write_with::<S, SILU>(product, done),
            Activation::HardSwish => self.write_with::<S, HARD_SWISH>(product, done),
            Activation::Gelu => self.write_with::<S, GELU>(product, done),
            Activation::Sigmoid => self.write_with::<S, SIGMOID>(product, done),
            Activation::HardSigmoid => self.write_with::<S, HARD_SIGMOID>(product, done),
        }
    }

    /// The same, with an activation known at compile time.
    #[inline(always)]
    unsafe fn write_with<S: Simd, const A: u8>(&mut self, product: &Product<'_>, done: &[S]) {
        // No closures around vectors: they would not take on the target features of the caller.
        let mut left = done;
        while !left.is_empty() {
            // As many pixels as the row still takes.
            let pixels = (product.width - self.column).min(left.len() / product.vectors);
            let (now, later) = left.split_at(pixels * product.vectors);
            left = later;
            for vector in 0..product.vectors {
                let out = self.out.add(vector * product.out.plane);
                let residual = product.residual.map(|grid| self.residual.wrapping_add(vector * grid.plane));
                for pixel in 0..pixels {
                    let sum = now[pixel * product.vectors + vector];
                    let value = match residual {
                        None => activate(activation(A), sum),
                        Some(from) if product.epilogue.add_last => {
                            activate(activation(A), sum).add(S::load(from.add(pixel * LANES)))
                        }
                        Some(from) => activate(activation(A), sum.add(S::load(from.add(pixel * LANES)))),
                    };
                    value.store(out.add(pixel * LANES));
                }
            }
            self.advance(product, pixels);
        }
    }

    /// Moves by pixels that lie in one row, to the next where that is full.
    #[inline(always)]
    unsafe fn advance(&mut self, product: &Product<'_>, pixels: usize) {
        self.pixel += pixels;
        self.column += pixels;
        let ends_row = self.column == product.width;
        let gap = |row: usize| if ends_row { row - product.width * LANES } else { 0 };
        // Behind the last pixel they may point beyond the map.
        self.out = self.out.wrapping_add(pixels * LANES + gap(product.out.row));
        if let Some(grid) = product.residual {
            self.residual = self.residual.wrapping_add(pixels * LANES + gap(grid.row));
        }
        if ends_row {
            self.column = 0;
        }
    }
}

/// [`Cursor::write`], compiled once and not into every tile.
pub(super) trait Write: Simd {
    unsafe fn write(cursor: &mut Cursor, product: &Product<'_>, done: &[Self]);
}

macro_rules! write_once {
    ($vector:ty $(, $features:literal)?) => {
        impl Write for $vector {
            #[inline(always)]
            unsafe fn write(cursor: &mut Cursor, product: &Product<'_>, done: &[Self]) {
                #[inline(never)]
                $(#[target_feature(enable = $features)])?
                unsafe fn once(cursor: &mut Cursor, product: &Product<'_>, done: &[$vector]) {
                    cursor.write(product, done);
                }
                once(cursor, product, done);
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
write_once!(V512, "avx512f");
#[cfg(target_arch = "x86_64")]
write_once!(V256, "avx2,fma");
#[cfg(target_arch = "aarch64")]
write_once!(V128, "neon");
write_once!(Plain);

// Activations as constants: an enum cannot be a const parameter.
const IDENTITY: u8 = 0;
const RELU: u8 = 1;
const RELU6: u8 = 2;
const SILU: u8 = 3;
const HARD_SWISH: u8 = 4;
const GELU: u8 = 5;
const SIGMOID: u8 = 6;
const HARD_SIGMOID: u8 = 7;

#[inline(always)]
const fn activation(number: u8) -> Activation {
    match number {
        RELU => Activation::Relu,
        RELU6 => Activation::Relu6,
        SILU => Activation::Silu,
        HARD_SWISH => Activation::HardSwish,
        GELU => Activation::Gelu,
        SIGMOID => Activation::Sigmoid,
        HARD_SIGMOID => Activation::HardSigmoid,
        _ => Activation::Identity,
    }
}

/// A sum within limits and what is added to it, in the order that is wanted.
#[inline(always)]
unsafe fn added<S: Simd>(sum: S, other: S, low: S, high: S, add_last: bool) -> S {
    if add_last { sum.max(low).min(high).add(other) } else { sum.add(other).max(low).min(high) }
}

/// The limits of an activation that does nothing between them.
#[inline(always)]
fn limits(activation: Activation) -> Option<[f32; 2]> {
    match activation {
        Activation::Identity => Some([f32::NEG_INFINITY, f32::INFINITY]),
        Activation::Relu => Some([0.0, f32::INFINITY]),
        Activation::Relu6 => Some([0.0, 6.0]),
        Activation::Silu | Activation::HardSwish | Activation::Gelu | Activation::Sigmoid | Activation::HardSigmoid => {
            None
        }
    }
}
