//! A weight for each channel of each image, and the mean that it comes from: squeeze-and-excitation.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::threads;
use crate::maps::{Maps, tight};
use crate::sums::{Over, sums};

#[cube(launch)]
fn weigh_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    weights: &Array<Vector<G, N>>,
    out: &mut Array<Vector<F, N>>,
    lanes: usize,
    places: usize,
    vectors: usize,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_weights: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let image = ABSOLUTE_POS / (lanes * places);
    let weight = Vector::<f32, N>::cast_from(weights[image * lanes + ABSOLUTE_POS % lanes]);
    out[ABSOLUTE_POS] = Vector::cast_from(Vector::<f32, N>::cast_from(x.read_unchecked(ABSOLUTE_POS)) * weight);
}

/// `x * weights`, the weights being `[count, channels, 1, 1]`.
pub fn weigh<R: CubeRuntime>(x: CubeTensor<R>, weights: CubeTensor<R>) -> CubeTensor<R> {
    let (x, weights) = (Maps::of(x), tight(weights));
    let (out, vectors, numbers) = (x.like(), x.vectors(), x.tensor.dtype.into());
    let of_weights = weights.dtype.into();
    let (cubes, cube) = threads(&x.tensor, vectors);
    weigh_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        weights.into_array_arg(),
        out.tensor.clone().into_array_arg(),
        x.lanes(),
        x.places(),
        vectors,
        numbers,
        of_weights,
    );
    out.into_tensor()
}

/// The gradients of what went into [`weigh`]: of the maps and the weights.
pub fn weigh_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    weights: CubeTensor<R>,
    gradient: CubeTensor<R>,
) -> [CubeTensor<R>; 2] {
    let numbers = weights.dtype;
    let of_weights = sums(&Maps::of(x), Some(&Maps::of(gradient.clone())), Over::Image, 1.0, numbers);
    [weigh(gradient, weights), of_weights]
}

/// The mean over height and width, `[count, channels, 1, 1]`.
pub fn average<R: CubeRuntime>(x: CubeTensor<R>) -> CubeTensor<R> {
    let x = Maps::of(x);
    sums(&x, None, Over::Image, 1.0 / x.places() as f32, x.tensor.dtype)
}
