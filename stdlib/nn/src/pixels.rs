//! From bytes to numbers on the device: a photo travels as a byte a value, a quarter of its size as
//! numbers.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

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
pub(crate) fn images<B: Backend>(
    pixels: &[u8],
    [count, height, width]: [usize; 3],
    scale: &PixelScale,
    device: &B::Device,
) -> Tensor<B, 4> {
    let words: Vec<i32> = pixels
        .chunks(4)
        .map(|bytes| bytes.iter().rev().fold(0, |word: u32, byte| word << 8 | u32::from(*byte)) as i32)
        .collect();
    let length = words.len();
    let words = Tensor::<B, 2, Int>::from_data(TensorData::new(words, [length, 1]), device).expand([length, 4]);
    let shifts = Tensor::<B, 2, Int>::from_data(TensorData::new(vec![0_i32, 8, 16, 24], [1, 4]), device);
    let bytes = words.bitwise_right_shift(shifts.expand([length, 4])).bitwise_and_scalar(elem::<B>(255));
    let values = bytes.reshape([4 * length]).narrow(0, 0, count * height * width * 3).float();
    let values = values.reshape([count, height, width, 3]).permute([0, 3, 1, 2]);
    let channel = |of: [f32; 3]| Tensor::<B, 4>::from_data(TensorData::new(of.to_vec(), [1, 3, 1, 1]), device);
    (values / 255.0 - channel(scale.mean)) / channel(scale.std)
}

fn elem<B: Backend>(value: i32) -> B::IntElem {
    burn::tensor::ElementConversion::elem(value)
}
