//! Depthwise convolutions: a row of output pixels of one block of channels.

use pipe_network::Activation;

use super::function::activate;
use super::gemm::{MOST, unroll};
use super::simd::{self, LANES, Simd};

/// The largest kernel.
pub(crate) const LARGEST: usize = 7;

/// One row of one block of channels.
pub(super) struct Row {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    /// The rows of the input from the first place of the kernel on, `first..last` of which lie inside.
    pub(super) rows: [*const f32; LARGEST],
    pub(super) first: usize,
    pub(super) last: usize,
    /// `[kernel x kernel]` vectors.
    pub(super) weights: *const f32,
    pub(super) bias: *const f32,
    pub(super) out: *mut f32,
    pub(super) width: usize,
    /// Where the row's sum is added; null for nowhere.
    pub(super) pool: *mut f32,
    pub(super) activation: Activation,
}

/// A kernel and stride that there is code for.
pub(crate) fn is_known(kernel: usize, stride: usize) -> bool {
    matches!(kernel, 3 | 5 | 7) && matches!(stride, 1 | 2)
}

#[inline(always)]
pub(super) unsafe fn row<S: Simd>(row: &Row) {
    match (row.kernel, row.stride) {
        (3, 1) => tiles::<S, 3, 1>(row),
        (3, 2) => tiles::<S, 3, 2>(row),
        (5, 1) => tiles::<S, 5, 1>(row),
        (5, 2) => tiles::<S, 5, 2>(row),
        (7, 1) => tiles::<S, 7, 1>(row),
        (7, 2) => tiles::<S, 7, 2>(row),
        _ => {}
    }
}

#[inline(always)]
unsafe fn tiles<S: Simd, const K: usize, const STRIDE: usize>(row: &Row) {
    let mut x = 0;
    for pixels in simd::tiles(row.width, S::DEPTHWISE) {
        macro_rules! sizes {
            ($($n:literal)*) => {
                match pixels {
                    $($n if $n <= S::DEPTHWISE => tile::<S, K, STRIDE, $n>(row, x),)*
                    _ => {}
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8);
        x += pixels;
    }
}

/// The sum of all places of a block, in the order in which [`row`] makes it.
#[inline(always)]
pub(super) unsafe fn sum<S: Simd>(map: *const f32, row: usize, height: usize, width: usize, out: *mut f32) {
    let mut total = S::splat(0.0);
    for y in 0..height {
        let mut place = map.add(y * row);
        for pixels in simd::tiles(width, S::DEPTHWISE) {
            let mut tile = S::splat(0.0);
            for _ in 0..pixels {
                tile = tile.add(S::load(place));
                place = place.add(LANES);
            }
            total = total.add(tile);
        }
    }
    total.store(out);
}

#[inline(always)]
unsafe fn tile<S: Simd, const K: usize, const STRIDE: usize, const N: usize>(row: &Row, x: usize) {
    let mut sums = [S::splat(0.0); MOST];
    let bias = S::load(row.bias);
    unroll!(N, r, {
        sums[r] = bias;
    });
    for ky in row.first..row.last {
        let input = row.rows[ky].add(x * STRIDE * LANES);
        let weights = row.weights.add(ky * K * LANES);
        let mut taps = [bias; K];
        for (kx, tap) in taps.iter_mut().enumerate() {
            *tap = S::load(weights.add(kx * LANES));
        }
        unroll!(N, r, {
            for (kx, &tap) in taps.iter().enumerate() {
                sums[r] = S::load(input.add((r * STRIDE + kx) * LANES)).mul_add(tap, sums[r]);
            }
        });
    }
    let mut done = [S::splat(0.0); N];
    unroll!(N, r, {
        done[r] = sums[r];
    });
    let mut pooled = S::splat(0.0);
    for (r, &sum) in done.iter().enumerate() {
        let value = activate(row.activation, sum);
        value.store(row.out.add((x + r) * LANES));
        pooled = pooled.add(value);
    }
    if !row.pool.is_null() {
        S::load(row.pool).add(pooled).store(row.pool);
    }
}
