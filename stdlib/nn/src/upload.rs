//! How many numbers get to a device.

use burn::tensor::backend::Backend;
use burn::tensor::{BasicOps, Tensor};

/// Bytes that travel at once. CubeCL copies them into new memory more than once on their way, and larger blocks are
/// fetched from the operating system each time, page by page.
pub(crate) const PART: usize = 4 << 20;

/// What came in parts, one behind the other.
pub(crate) fn joined<B: Backend, const D: usize, K: BasicOps<B>>(mut parts: Vec<Tensor<B, D, K>>) -> Tensor<B, D, K> {
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 0) }
}
