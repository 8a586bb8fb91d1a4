//! The inner loops, once for each instruction set.
//!
//! Unsafe lives in this module alone, for two reasons: vector instructions that not every processor
//! has, and inner loops over raw pointers. [`memory::View`] is the only caller: it checks that
//! everything a kernel touches lies inside and is its thread's to touch, and takes kernels from
//! [`Isa::kernels`] alone, which gives those that the processor has.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn, reason = "see above; each function's condition is its caller's check")]

pub(crate) mod depthwise;
mod function;
pub(crate) mod gemm;
mod meeting;
pub(crate) mod memory;
mod reduce;
mod simd;

pub(crate) use simd::LANES;

use crate::isa::Isa;
use depthwise::Row;
use gemm::Product;
use reduce::{Excite, LayerNorm, Pool};
use simd::{Plain, Simd};

pub(crate) mod call;

/// The kernels of one instruction set.
pub(crate) struct Kernels {
    /// Vectors of output channels of a panel of weights.
    pub(crate) panel: usize,
    product: unsafe fn(&Product<'_>),
    depthwise: unsafe fn(&Row),
    sum: unsafe fn(*const f32, usize, usize, usize, *mut f32),
    excite: unsafe fn(&Excite),
    scale_map: unsafe fn(*mut f32, usize, usize, *const f32),
    scale_weights: unsafe fn(*const f32, usize, usize, *const f32, *mut f32),
    mean: unsafe fn(*const f32, usize, usize, usize, usize, usize, *mut f32),
    max_pool: unsafe fn(&Pool),
    layer_norm: unsafe fn(&LayerNorm),
    softmax: unsafe fn(*mut f32, usize, usize),
    add: unsafe fn(*const f32, *const f32, *mut f32, usize),
}

/// Compiles the kernels for a vector type with target features.
macro_rules! kernels {
    ($vector:ty $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn product(job: &Product<'_>) {
            gemm::product::<$vector>(job);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn depthwise(job: &Row) {
            depthwise::row::<$vector>(job);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn sum(map: *const f32, row: usize, height: usize, width: usize, out: *mut f32) {
            depthwise::sum::<$vector>(map, row, height, width, out);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn excite(job: &Excite) {
            reduce::excite::<$vector>(job);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn scale_map(map: *mut f32, pixels: usize, blocks: usize, factors: *const f32) {
            reduce::scale_map::<$vector>(map, pixels, blocks, factors);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn scale_weights(
            weights: *const f32,
            inputs: usize,
            blocks: usize,
            factors: *const f32,
            out: *mut f32,
        ) {
            reduce::scale_weights::<$vector>(weights, inputs, blocks, factors, out);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn mean(
            map: *const f32,
            width: usize,
            height: usize,
            row: usize,
            plane: usize,
            blocks: usize,
            out: *mut f32,
        ) {
            reduce::mean::<$vector>(map, width, height, row, plane, blocks, out);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn max_pool(job: &Pool) {
            reduce::max_pool::<$vector>(job);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn layer_norm(job: &LayerNorm) {
            reduce::layer_norm::<$vector>(job);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn softmax(x: *mut f32, plane: usize, count: usize) {
            reduce::softmax::<$vector>(x, plane, count);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn add(x: *const f32, y: *const f32, out: *mut f32, vectors: usize) {
            reduce::add::<$vector>(x, y, out, vectors);
        }
        Kernels {
            panel: <$vector as Simd>::PANEL,
            product,
            depthwise,
            sum,
            excite,
            scale_map,
            scale_weights,
            mean,
            max_pool,
            layer_norm,
            softmax,
            add,
        }
    }};
}

#[cfg(target_arch = "x86_64")]
static AVX512: Kernels = kernels!(simd::V512, "avx512f");
#[cfg(target_arch = "x86_64")]
static AVX2: Kernels = kernels!(simd::V256, "avx2,fma");
#[cfg(target_arch = "aarch64")]
static NEON: Kernels = kernels!(simd::V128, "neon");
static PLAIN: Kernels = kernels!(Plain);

impl Isa {
    /// Its kernels. An [`Isa`] exists only where the processor has it.
    pub(crate) fn kernels(self) -> &'static Kernels {
        match self.name() {
            #[cfg(target_arch = "x86_64")]
            "avx512" => &AVX512,
            #[cfg(target_arch = "x86_64")]
            "avx2" => &AVX2,
            #[cfg(target_arch = "aarch64")]
            "neon" => &NEON,
            _ => &PLAIN,
        }
    }
}
