//! From the bytes of pixels to numbers.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::threads;
use crate::maps::{Maps, exact, tight};

#[cube(launch)]
fn pixels_kernel<F: Float>(
    words: &Array<i32>,
    mean: &Array<f32>,
    deviation: &Array<f32>,
    out: &mut Array<F>,
    values: usize,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= values {
        terminate!();
    }
    let shift = i32::cast_from(ABSOLUTE_POS % 4 * 8);
    let byte = (words[ABSOLUTE_POS / 4] >> shift) & 255;
    let channel = ABSOLUTE_POS % 3;
    let value = f32::cast_from(byte) / 255.0;
    out[ABSOLUTE_POS] = F::cast_from((value - mean[channel]) / deviation[channel]);
}

/// Maps `[count, 3, height, width]` of pixels whose bytes, `[count, height, width, 3]`, lie in whole numbers
/// of 32 bits, four in each and the first in the lowest: `(byte / 255 - mean) / deviation`, with a number for
/// each channel.
pub fn images<R: CubeRuntime>(
    words: CubeTensor<R>,
    [count, height, width]: [usize; 3],
    mean: CubeTensor<R>,
    deviation: CubeTensor<R>,
    numbers: DType,
) -> CubeTensor<R> {
    let (words, mean, deviation) = (tight(words), exact(mean), exact(deviation));
    let out = Maps::empty_of(&words, [count, height, width, 3], numbers);
    let all = count * height * width * 3;
    let (cubes, cube) = threads(&words, all);
    pixels_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        words.into_array_arg(),
        mean.into_array_arg(),
        deviation.into_array_arg(),
        out.tensor.clone().into_array_arg(),
        all,
        numbers.into(),
    );
    out.into_tensor()
}
