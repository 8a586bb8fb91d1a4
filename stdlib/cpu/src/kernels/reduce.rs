//! What goes through memory once: pools, norms, gates, softmax.

use pipe_network::Activation;

use super::function::{activate, exp};
use super::simd::{LANES, Simd, greatest, sum};

/// The dense layers of squeeze-excite; weights `[squeezed][channels]`, both.
pub(super) struct Excite {
    pub(super) blocks: usize,
    pub(super) squeezed: usize,
    pub(super) activation: Activation,
    pub(super) gate: Activation,
    /// Sums over the pixels, and one over their number.
    pub(super) pool: *const f32,
    pub(super) share: f32,
    pub(super) squeeze: *const f32,
    pub(super) squeeze_bias: *const f32,
    pub(super) excite: *const f32,
    pub(super) excite_bias: *const f32,
    /// Room for the squeezed numbers, whole vectors.
    pub(super) between: *mut f32,
    pub(super) out: *mut f32,
}

#[inline(always)]
pub(super) unsafe fn excite<S: Simd>(job: &Excite) {
    for number in 0..job.squeezed {
        let weights = job.squeeze.add(number * job.blocks * LANES);
        let mut sums = S::splat(0.0);
        for block in 0..job.blocks {
            let at = block * LANES;
            sums = S::load(weights.add(at)).mul_add(S::load(job.pool.add(at)), sums);
        }
        *job.between.add(number) = sum(sums) * job.share + *job.squeeze_bias.add(number);
    }
    for at in (0..job.squeezed).step_by(LANES) {
        let place = job.between.add(at);
        activate(job.activation, S::load(place)).store(place);
    }
    for block in 0..job.blocks {
        let at = block * LANES;
        let mut sums = S::load(job.excite_bias.add(at));
        for number in 0..job.squeezed {
            let weights = S::load(job.excite.add(number * job.blocks * LANES + at));
            sums = S::splat(*job.between.add(number)).mul_add(weights, sums);
        }
        activate(job.gate, sums).store(job.out.add(at));
    }
}

/// `map[block][pixel] *= factors[block]`.
#[inline(always)]
pub(super) unsafe fn scale_map<S: Simd>(map: *mut f32, pixels: usize, blocks: usize, factors: *const f32) {
    for block in 0..blocks {
        let factor = S::load(factors.add(block * LANES));
        for pixel in 0..pixels {
            let place = map.add((block * pixels + pixel) * LANES);
            S::load(place).mul(factor).store(place);
        }
    }
}

/// Panels of weights, each input channel times its factor.
#[inline(always)]
pub(super) unsafe fn scale_weights<S: Simd>(
    weights: *const f32,
    inputs: usize,
    blocks: usize,
    factors: *const f32,
    out: *mut f32,
) {
    let mut at = 0;
    let mut block = 0;
    while block < blocks {
        let vectors = S::PANEL.min(blocks - block);
        for input in 0..inputs {
            let factor = S::splat(*factors.add(input));
            for _ in 0..vectors {
                S::load(weights.add(at)).mul(factor).store(out.add(at));
                at += LANES;
            }
        }
        block += vectors;
    }
}

/// The mean of the pixels of each block.
#[inline(always)]
pub(super) unsafe fn mean<S: Simd>(
    map: *const f32,
    width: usize,
    height: usize,
    row: usize,
    plane: usize,
    blocks: usize,
    out: *mut f32,
) {
    let share = S::splat(1.0 / (width * height) as f32);
    for block in 0..blocks {
        let mut sums = S::splat(0.0);
        for y in 0..height {
            let line = map.add(block * plane + y * row);
            for x in 0..width {
                sums = sums.add(S::load(line.add(x * LANES)));
            }
        }
        sums.mul(share).store(out.add(block * LANES));
    }
}

/// The greatest value of each window of one row of one block.
pub(super) struct Pool {
    /// The block's first pixel.
    pub(super) map: *const f32,
    pub(super) row: usize,
    pub(super) width: usize,
    /// The rows of the window that lie inside.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) out: *mut f32,
    pub(super) out_width: usize,
}

#[inline(always)]
pub(super) unsafe fn max_pool<S: Simd>(job: &Pool) {
    for x in 0..job.out_width {
        let from = (x * job.stride).saturating_sub(job.padding);
        let to = (x * job.stride + job.kernel - job.padding).min(job.width);
        let mut most = S::splat(f32::NEG_INFINITY);
        for y in job.first..job.last {
            for column in from..to {
                most = most.max(S::load(job.map.add(y * job.row + column * LANES)));
            }
        }
        most.store(job.out.add(x * LANES));
    }
}

/// Layer normalisation of one pixel.
pub(super) struct LayerNorm {
    pub(super) x: *const f32,
    pub(super) x_plane: usize,
    pub(super) out: *mut f32,
    pub(super) out_plane: usize,
    pub(super) blocks: usize,
    pub(super) epsilon: f32,
    pub(super) weight: *const f32,
    pub(super) bias: *const f32,
}

#[inline(always)]
pub(super) unsafe fn layer_norm<S: Simd>(job: &LayerNorm) {
    let share = 1.0 / (job.blocks * LANES) as f32;
    let mut sums = S::splat(0.0);
    for block in 0..job.blocks {
        sums = sums.add(S::load(job.x.add(block * job.x_plane)));
    }
    let mean = S::splat(sum(sums) * share);
    let mut squares = S::splat(0.0);
    for block in 0..job.blocks {
        let off = S::load(job.x.add(block * job.x_plane)).sub(mean);
        squares = off.mul_add(off, squares);
    }
    let factor = S::splat(1.0 / (sum(squares) * share + job.epsilon).sqrt());
    for block in 0..job.blocks {
        let off = S::load(job.x.add(block * job.x_plane)).sub(mean);
        let weight = S::load(job.weight.add(block * LANES)).mul(factor);
        let bias = S::load(job.bias.add(block * LANES));
        off.mul_add(weight, bias).store(job.out.add(block * job.out_plane));
    }
}

/// Softmax over the `count` first numbers of one pixel's blocks, in place; the others become 0.
#[inline(always)]
pub(super) unsafe fn softmax<S: Simd>(x: *mut f32, plane: usize, count: usize) {
    let blocks = count.div_ceil(LANES);
    for number in count..blocks * LANES {
        *x.add(number / LANES * plane + number % LANES) = f32::NEG_INFINITY;
    }
    let mut most = S::splat(f32::NEG_INFINITY);
    for block in 0..blocks {
        most = most.max(S::load(x.add(block * plane)));
    }
    let most = S::splat(greatest(most));
    let mut sums = S::splat(0.0);
    for block in 0..blocks {
        let place = x.add(block * plane);
        let power = exp(S::load(place).sub(most));
        power.store(place);
        sums = sums.add(power);
    }
    let factor = S::splat(1.0 / sum(sums));
    for block in 0..blocks {
        let place = x.add(block * plane);
        S::load(place).mul(factor).store(place);
    }
    for number in count..blocks * LANES {
        *x.add(number / LANES * plane + number % LANES) = 0.0;
    }
}

/// `x + y` of `vectors` vectors, written to `out`.
#[inline(always)]
pub(super) unsafe fn add<S: Simd>(x: *const f32, y: *const f32, out: *mut f32, vectors: usize) {
    for vector in 0..vectors {
        let at = vector * LANES;
        S::load(x.add(at)).add(S::load(y.add(at))).store(out.add(at));
    }
}
