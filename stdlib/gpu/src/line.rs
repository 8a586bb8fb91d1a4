//! Summands, and the activation behind them.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::function::{activate, slope};
use crate::launch::threads;
use crate::maps::{Maps, same_at_all_places, tight};
use crate::sums::{Over, sums};

#[cube(launch)]
fn shift_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    bias: &ComptimeOption<Array<Vector<G, N>>>,
    rest: &ComptimeOption<Array<Vector<F, N>>>,
    out: &mut Array<Vector<F, N>>,
    lanes: usize,
    image: usize,
    vectors: usize,
    #[comptime] is_spread: bool,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_bias: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let z = Vector::<f32, N>::cast_from(x.read_unchecked(ABSOLUTE_POS));
    #[comptime]
    let z = match bias {
        ComptimeOption::Some(bias) => z + Vector::cast_from(bias[ABSOLUTE_POS % bias.len()]),
        ComptimeOption::None => z,
    };
    #[comptime]
    let z = match rest {
        ComptimeOption::Some(rest) => {
            let at = if is_spread { ABSOLUTE_POS / image * lanes + ABSOLUTE_POS % lanes } else { ABSOLUTE_POS };
            z + Vector::cast_from(rest.read_unchecked(at))
        }
        ComptimeOption::None => z,
    };
    out[ABSOLUTE_POS] = Vector::cast_from(activate::<N>(z, activation));
}

#[cube(launch)]
fn shift_backward_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    bias: &Array<Vector<G, N>>,
    gradient: &Array<Vector<F, N>>,
    out: &mut Array<Vector<F, N>>,
    vectors: usize,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_bias: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let bias = Vector::<f32, N>::cast_from(bias[ABSOLUTE_POS % bias.len()]);
    let z = Vector::<f32, N>::cast_from(x.read_unchecked(ABSOLUTE_POS)) + bias;
    let gradient = Vector::<f32, N>::cast_from(gradient.read_unchecked(ABSOLUTE_POS));
    out[ABSOLUTE_POS] = Vector::cast_from(gradient * slope::<N>(z, activation));
}

/// `activation(x + bias)`, `bias` having a number for each channel.
pub fn shift<R: CubeRuntime>(x: CubeTensor<R>, bias: CubeTensor<R>, activation: Activation) -> CubeTensor<R> {
    sum(x, Some(bias), None, activation)
}

/// `activation(x + bias + rest)`, `rest` having the shape of `x`.
pub fn shift_onto<R: CubeRuntime>(
    x: CubeTensor<R>,
    bias: CubeTensor<R>,
    rest: CubeTensor<R>,
    activation: Activation,
) -> CubeTensor<R> {
    sum(x, Some(bias), Some(rest), activation)
}

/// `activation(x + rest)`, both of one shape. One of them may repeat a number at all places of a map, as the gradient
/// of a mean does.
pub fn add<R: CubeRuntime>(x: CubeTensor<R>, rest: CubeTensor<R>, activation: Activation) -> CubeTensor<R> {
    let (x, rest) = if same_at_all_places(&x).is_some() { (rest, x) } else { (x, rest) };
    sum(x, None, Some(rest), activation)
}

/// `activation(x + bias + rest)` of those that are there.
pub(crate) fn sum<R: CubeRuntime>(
    x: CubeTensor<R>,
    bias: Option<CubeTensor<R>>,
    rest: Option<CubeTensor<R>>,
    activation: Activation,
) -> CubeTensor<R> {
    let x = Maps::of(x);
    let (out, vectors, numbers) = (x.like(), x.vectors(), x.tensor.dtype.into());
    let (cubes, cube) = threads(&x.tensor, vectors);
    let (lanes, image) = (x.lanes(), x.lanes() * x.places());
    let repeated = rest.as_ref().and_then(same_at_all_places);
    let is_spread = repeated.is_some();
    let rest = repeated.or_else(|| rest.map(|rest| Maps::of(rest).tensor));
    let of_bias = bias.as_ref().map_or(x.tensor.dtype, |bias| bias.dtype).into();
    shift_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.into_array_arg(),
        bias.map(|bias| tight(bias).into_array_arg()).into(),
        rest.map(CubeTensor::into_array_arg).into(),
        out.tensor.clone().into_array_arg(),
        lanes,
        image,
        vectors,
        is_spread,
        activation,
        numbers,
        of_bias,
    );
    out.into_tensor()
}

/// The gradients of what went into [`shift`]: of the maps and the bias, `[1, channels, 1, 1]`.
pub fn shift_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    bias: CubeTensor<R>,
    activation: Activation,
    gradient: CubeTensor<R>,
) -> [CubeTensor<R>; 2] {
    let of_bias = bias.dtype;
    let gradient = match activation {
        Activation::Identity => Maps::of(gradient),
        activation => {
            let (x, bias, gradient) = (Maps::of(x), tight(bias), Maps::of(gradient));
            let (out, vectors, numbers) = (x.like(), x.vectors(), x.tensor.dtype.into());
            let (cubes, cube) = threads(&x.tensor, vectors);
            shift_backward_kernel::launch::<R>(
                &out.tensor.client,
                cubes,
                cube,
                x.vector(),
                x.tensor.into_array_arg(),
                bias.into_array_arg(),
                gradient.tensor.into_array_arg(),
                out.tensor.clone().into_array_arg(),
                vectors,
                activation,
                numbers,
                of_bias.into(),
            );
            out
        }
    };
    let sum = sums(&gradient, None, Over::All, 1.0, of_bias);
    [gradient.into_tensor(), sum]
}
