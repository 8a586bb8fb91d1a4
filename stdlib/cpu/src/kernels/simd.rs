//! A vector of sixteen `f32` as one small trait: one register with AVX-512, two with AVX2, four with
//! NEON, an array that the compiler vectorises as it can elsewhere.
//!
//! Every function is `inline(always)`, so that it takes on the target features of the kernel that it
//! ends up in. Outside of such a kernel none may be called: that is the safety condition of them all.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm256_add_epi32, _mm256_add_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_div_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_rcp14_ps,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vdivq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vmaxq_f32, vminq_f32, vmulq_f32,
    vreinterpretq_f32_s32, vreinterpretq_s32_f32, vshlq_n_s32, vst1q_f32, vsubq_f32,
};

/// Numbers in a vector.
pub(crate) const LANES: usize = 16;

pub(super) trait Simd: Copy {
    /// Pixels of the largest tile of a matrix product: what leaves registers for weights and inputs.
    const TILE: usize;
    /// Vectors of output channels of a tile.
    const PANEL: usize;
    /// Pixels of the largest tile of a depthwise convolution.
    const DEPTHWISE: usize;

    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(number: f32) -> Self;
    /// `self * b + c`, rounded once where the processor can.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    /// `self / b` within two units in the last place, where neither `b` nor its inverse is near 0.
    unsafe fn div(self, b: Self) -> Self;
    /// The smaller number of each lane; what is no number stays none.
    unsafe fn min(self, b: Self) -> Self;
    /// The greater number of each lane; what is no number stays none.
    unsafe fn max(self, b: Self) -> Self;
    /// `self * 2^n`, where `shifted` is `n + 1.5 * 2^23`: its low bits hold `n`.
    unsafe fn scale_by_power(self, shifted: Self) -> Self;
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct V512(__m512);

#[cfg(target_arch = "x86_64")]
impl Simd for V512 {
    const TILE: usize = 14;
    const PANEL: usize = 2;
    const DEPTHWISE: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self.0);
    }
    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        Self(_mm512_set1_ps(number))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, b.0, c.0))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Self(_mm512_add_ps(self.0, b.0))
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        Self(_mm512_sub_ps(self.0, b.0))
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        Self(_mm512_mul_ps(self.0, b.0))
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        // Several times as fast as the division: an estimate of 14 bits and one step of Newton's method.
        let estimate = _mm512_rcp14_ps(b.0);
        let quotient = _mm512_mul_ps(self.0, estimate);
        let error = _mm512_fnmadd_ps(b.0, estimate, _mm512_set1_ps(1.0));
        Self(_mm512_fmadd_ps(quotient, error, quotient))
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        // The second operand is what comes of no number.
        Self(_mm512_min_ps(b.0, self.0))
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        Self(_mm512_max_ps(b.0, self.0))
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, shifted: Self) -> Self {
        let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0));
        Self(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), exponent)))
    }
}

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct V256(__m256, __m256);

#[cfg(target_arch = "x86_64")]
impl Simd for V256 {
    const TILE: usize = 6;
    const PANEL: usize = 1;
    const DEPTHWISE: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm256_storeu_ps(to, self.0);
        _mm256_storeu_ps(to.add(8), self.1);
    }
    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        let all = _mm256_set1_ps(number);
        Self(all, all)
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Self(_mm256_add_ps(self.0, b.0), _mm256_add_ps(self.1, b.1))
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        Self(_mm256_sub_ps(self.0, b.0), _mm256_sub_ps(self.1, b.1))
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        Self(_mm256_mul_ps(self.0, b.0), _mm256_mul_ps(self.1, b.1))
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        Self(_mm256_div_ps(self.0, b.0), _mm256_div_ps(self.1, b.1))
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        Self(_mm256_min_ps(b.0, self.0), _mm256_min_ps(b.1, self.1))
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        Self(_mm256_max_ps(b.0, self.0), _mm256_max_ps(b.1, self.1))
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, shifted: Self) -> Self {
        let low = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted.0));
        let high = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted.1));
        Self(
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), low)),
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.1), high)),
        )
    }
}

#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub(super) struct V128([float32x4_t; 4]);

/// One operation on each of the four registers.
#[cfg(target_arch = "aarch64")]
macro_rules! quarters {
    ($operation:ident, $($vector:expr),*) => {
        V128([
            $operation($($vector.0[0]),*),
            $operation($($vector.0[1]),*),
            $operation($($vector.0[2]),*),
            $operation($($vector.0[3]),*),
        ])
    };
}

#[cfg(target_arch = "aarch64")]
impl Simd for V128 {
    // Six times four sums and four weights fill 28 of the 32 registers.
    const TILE: usize = 6;
    const PANEL: usize = 1;
    const DEPTHWISE: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self([vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))])
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        vst1q_f32(to, self.0[0]);
        vst1q_f32(to.add(4), self.0[1]);
        vst1q_f32(to.add(8), self.0[2]);
        vst1q_f32(to.add(12), self.0[3]);
    }
    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        Self([vdupq_n_f32(number); 4])
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        quarters!(vfmaq_f32, c, self, b)
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        quarters!(vaddq_f32, self, b)
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        quarters!(vsubq_f32, self, b)
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        quarters!(vmulq_f32, self, b)
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        quarters!(vdivq_f32, self, b)
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        quarters!(vminq_f32, self, b)
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        quarters!(vmaxq_f32, self, b)
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, shifted: Self) -> Self {
        #[inline(always)]
        unsafe fn scaled(number: float32x4_t, shifted: float32x4_t) -> float32x4_t {
            let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(shifted));
            vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(number), exponent))
        }
        quarters!(scaled, self, shifted)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn zip(self, b: Self, each: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| each(self.0[lane], b.0[lane])))
    }
}

impl Simd for Plain {
    const TILE: usize = 2;
    const PANEL: usize = 1;
    const DEPTHWISE: usize = 2;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(from.cast::<[f32; LANES]>().read())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; LANES]>().write(self.0);
    }
    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        Self([number; LANES])
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // Without an instruction for it `f32::mul_add` is a slow call.
        Self(std::array::from_fn(|lane| self.0[lane] * b.0[lane] + c.0[lane]))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.zip(b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        self.zip(b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.zip(b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        self.zip(b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        self.zip(b, |a, b| if b < a { b } else { a })
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        self.zip(b, |a, b| if b > a { b } else { a })
    }
    #[inline(always)]
    unsafe fn scale_by_power(self, shifted: Self) -> Self {
        self.zip(shifted, |number, shifted| {
            f32::from_bits(number.to_bits().wrapping_add(shifted.to_bits().wrapping_shl(23)))
        })
    }
}

/// The sizes of tiles that a row of pixels is divided into: as few as `most` allows, nearly equal.
#[inline(always)]
pub(super) fn tiles(pixels: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = pixels.div_ceil(most);
    let (each, larger) = (pixels / count.max(1), pixels % count.max(1));
    (0..count).map(move |number| each + usize::from(number < larger))
}

/// The sum of the sixteen numbers, in one order for every instruction set.
#[inline(always)]
pub(super) unsafe fn sum<S: Simd>(vector: S) -> f32 {
    let mut lanes = [0.0f32; LANES];
    vector.store(lanes.as_mut_ptr());
    lanes.iter().sum()
}

/// The greatest of the sixteen numbers.
#[inline(always)]
pub(super) unsafe fn greatest<S: Simd>(vector: S) -> f32 {
    let mut lanes = [0.0f32; LANES];
    vector.store(lanes.as_mut_ptr());
    lanes.iter().fold(f32::NEG_INFINITY, |greatest, &lane| greatest.max(lane))
}
