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

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::{PART, PixelScale, images};
    use crate::Precision;

    #[test]
    fn photos_that_travel_in_parts_are_whole() {
        let (side, scale) = (1201, PixelScale { mean: [0.0; 3], std: [1.0; 3] });
        let bytes: Vec<u8> = (0..side * side * 3).map(|at| (at * 37 % 251) as u8).collect();
        // The last part is no whole number of words.
        assert!(bytes.len() > PART && !bytes.len().is_multiple_of(4));
        let found = images::<Flex>(&bytes, [1, side, side], &scale, Precision::F32, &Default::default());
        let found = found.permute([0, 2, 3, 1]).into_data().to_vec::<f32>();
        let expected: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        assert!(found.is_ok_and(|found| found == expected));
    }
}
