//! From bytes to numbers on the device: a photo travels as a byte a value, a quarter of its size as
//! numbers.

use burn::tensor::{Int, Tensor, TensorData};

use crate::Precision;
use crate::operations::Operations;
use crate::upload::{PART, joined};

/// What becomes of the values of pixels, `(value / 255 - mean) / std`, a number for each channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelScale {
    /// Red, green, blue, of pixels in 0..=1.
    pub mean: [f32; 3],
    /// Likewise, above 0.
    pub std: [f32; 3],
}

/// Images `[count, 3, height, width]` of pixels `[count, height, width, 3]`, row-major.
///
/// Four bytes travel as one whole number and are taken apart there: not every backend has bytes.
pub(crate) fn images<B: Operations>(
    pixels: &[u8],
    shape: [usize; 3],
    scale: &PixelScale,
    precision: Precision,
    device: &B::Device,
) -> Tensor<B, 4> {
    let words = joined(pixels.chunks(PART).map(|part| words(part, device)).collect());
    B::images(words, shape, [scale.mean, scale.std], precision.numbers())
}

fn words<B: Operations>(bytes: &[u8], device: &B::Device) -> Tensor<B, 1, Int> {
    let (whole, rest) = bytes.as_chunks();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let words = whole.iter().chain((!rest.is_empty()).then_some(&last));
    let words: Vec<i32> = words.map(|bytes| i32::from_le_bytes(*bytes)).collect();
    let length = words.len();
    Tensor::from_data(TensorData::new(words, [length]), device)
}
