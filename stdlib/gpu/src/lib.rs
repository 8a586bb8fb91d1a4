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
mod descent;
mod function;
mod fused;
mod gate;
mod launch;
mod line;
mod maps;
mod moments;
mod narrow;
mod norm;
mod pixels;
mod product;
mod sums;
mod taps;
mod team;
mod tile;
mod tried;
mod weights;
mod window;

pub use convolution::{convolve, convolve_backward, convolve_fused};
pub use depthwise::{depthwise, depthwise_backward, depthwise_shift};
pub use descent::{AdamWStep, Piece, SgdStep, adamw, blend, sgd};
pub use fused::Fused;
pub use gate::{Dense, gate};
pub use line::{add, shift, shift_backward, shift_onto};
pub use maps::{ALIGNMENT, part};
pub use moments::moments;
pub use norm::{Norm, normalize, normalize_backward};
pub use pixels::images;
pub use product::{Products, product, product_by_each};
pub use taps::depthwise_weight_backward;
pub use weights::{average, weigh, weigh_backward};
pub use window::Window;
