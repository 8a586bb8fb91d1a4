//! Kernels for GPUs, in CubeCL: what networks do beside products of matrices, and those in the numbers
//! that were asked for.
//!
//! Maps come and go as `[count, channels, height, width]` and lie in memory as `[count, height, width,
//! channels]`: neighbouring threads have neighbouring channels, and a convolution of one place is a product
//! of two matrices as they lie. Whatever the numbers of the maps, sums are `f32`. No kernel adds in an order
//! that chance decides, so two runs agree to the last bit.
//!
//! Unaware of networks, of gradients' graphs and of which GPU it is.

mod columns;
mod convolution;
mod depthwise;
mod function;
mod launch;
mod line;
mod maps;
mod norm;
mod pixels;
mod product;
mod sums;
mod weights;

pub use convolution::{convolve, convolve_backward};
pub use depthwise::{depthwise, depthwise_backward, depthwise_weight_backward};
pub use line::{shift, shift_backward};
pub use norm::{Norm, moments, normalize, normalize_backward};
pub use pixels::images;
pub use product::{Products, product};
pub use weights::{average, weigh, weigh_backward};

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
    /// Height and width of what comes out of maps of that height and width.
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|side| {
            (input[side] + 2 * self.padding[side]).saturating_sub(self.kernel[side]) / self.stride[side] + 1
        })
    }
}
