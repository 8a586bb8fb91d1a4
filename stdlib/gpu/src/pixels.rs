//! From the bytes of pixels to numbers.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::threads;
use crate::maps::{Maps, tight, vector};

/// Bytes of a word.
const BYTES: usize = 4;

/// A number for each channel.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Colours {
    red: f32,
    green: f32,
    blue: f32,
}

#[cube]
impl Colours {
    fn of(&self, channel: usize) -> f32 {
        select(channel == 0, self.red, select(channel == 1, self.green, self.blue))
    }
}

/// A thread has a word.
#[cube(launch)]
fn pixels_kernel<F: Float, N: Size>(
    words: &Array<i32>,
    out: &mut Array<Vector<F, N>>,
    factor: Colours,
    summand: Colours,
    vectors: usize,
    #[comptime] vector: usize,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= words.len() {
        terminate!();
    }
    let word = words[ABSOLUTE_POS];
    #[unroll]
    for part in 0..comptime![BYTES / vector] {
        let mut values = Vector::<f32, N>::empty();
        #[unroll]
        for at in 0..vector {
            let byte = comptime![part * vector + at];
            // Words have a byte more than there are channels.
            let channel = (ABSOLUTE_POS + byte) % 3;
            let value = f32::cast_from((word >> comptime![8 * byte as i32]) & 255);
            values[at] = value * factor.of(channel) + summand.of(channel);
        }
        let at = ABSOLUTE_POS * comptime![BYTES / vector] + part;
        if at < vectors {
            out[at] = Vector::cast_from(values);
        }
    }
}

/// Maps `[count, 3, height, width]` of pixels whose bytes, `[count, height, width, 3]`, lie in whole numbers
/// of 32 bits, four in each and the first in the lowest: `(byte / 255 - mean) / deviation`, with a number for
/// each channel.
pub fn images<R: CubeRuntime>(
    words: CubeTensor<R>,
    [count, height, width]: [usize; 3],
    [mean, deviation]: [[f32; 3]; 2],
    numbers: DType,
) -> CubeTensor<R> {
    let words = tight(words);
    let out = Maps::empty_of(&words, [count, height, width, 3], numbers);
    let values = count * height * width * 3;
    let vector = vector(values);
    let (cubes, cube) = threads(&words, values.div_ceil(BYTES));
    let colours = |of: fn(f32, f32) -> f32| {
        let [red, green, blue] = std::array::from_fn(|channel| of(mean[channel], deviation[channel]));
        ColoursLaunch::new(red, green, blue)
    };
    pixels_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        vector,
        words.into_array_arg(),
        out.tensor.clone().into_array_arg(),
        colours(|_, deviation| 1.0 / (255.0 * deviation)),
        colours(|mean, deviation| -mean / deviation),
        values / vector,
        vector,
        numbers.into(),
    );
    out.into_tensor()
}
