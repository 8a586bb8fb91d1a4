//! Batch normalisation with the statistics of what comes, and the activation behind it.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::function::{activate, slope};
use crate::launch::threads;
use crate::maps::{Maps, empty, exact};
use crate::sums::{Over, cut, scaled, sums, total};

/// A norm: a number for each channel of each.
#[derive(Debug, Clone)]
pub struct Norm<R: CubeRuntime> {
    /// The factor behind.
    pub weight: CubeTensor<R>,
    /// The summand behind.
    pub bias: CubeTensor<R>,
    /// What is taken away.
    pub mean: CubeTensor<R>,
    /// The square of what is divided by.
    pub variance: CubeTensor<R>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl<R: CubeRuntime> Norm<R> {
    fn exact(self) -> Self {
        Self {
            weight: exact(self.weight),
            bias: exact(self.bias),
            mean: exact(self.mean),
            variance: exact(self.variance),
            epsilon: self.epsilon,
        }
    }
}

/// What of a norm concerns one vector of channels.
#[derive(CubeType, Clone, Copy)]
struct Lane<N: Size> {
    weight: Vector<f32, N>,
    bias: Vector<f32, N>,
    mean: Vector<f32, N>,
    /// One over the standard deviation.
    scale: Vector<f32, N>,
}

#[cube]
impl<N: Size> Lane<N> {
    fn read(
        weight: &Array<Vector<f32, N>>,
        bias: &Array<Vector<f32, N>>,
        mean: &Array<Vector<f32, N>>,
        variance: &Array<Vector<f32, N>>,
        epsilon: f32,
        lane: usize,
    ) -> Self {
        let deviation = (variance[lane] + Vector::new(epsilon)).sqrt();
        let scale = Vector::<f32, N>::new(1.0) / deviation;
        Lane::<N> { weight: weight[lane], bias: bias[lane], mean: mean[lane], scale }
    }
}

#[cube(launch)]
fn normalize_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    weight: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    variance: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<F, N>>,
    epsilon: f32,
    vectors: usize,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let norm = Lane::<N>::read(weight, bias, mean, variance, epsilon, ABSOLUTE_POS % weight.len());
    let standard = (Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]) - norm.mean) * norm.scale;
    out[ABSOLUTE_POS] = Vector::cast_from(activate::<N>(standard * norm.weight + norm.bias, activation));
}

#[cube(launch)]
fn squares_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    mean: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<f32, N>>,
    rows: usize,
    chunk: usize,
    units: usize,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lanes = mean.len();
    let lane = ABSOLUTE_POS % lanes;
    let first = ABSOLUTE_POS / lanes * chunk;
    let mut sum = Vector::<f32, N>::new(0.0);
    for row in first..min(first + chunk, rows) {
        let off = Vector::<f32, N>::cast_from(x[row * lanes + lane]) - mean[lane];
        sum += off * off;
    }
    out[ABSOLUTE_POS] = sum;
}

/// The sums behind the gradients of the bias and of the weight.
#[cube(launch)]
fn gradient_sums_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    gradient: &Array<Vector<F, N>>,
    weight: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    variance: &Array<Vector<f32, N>>,
    of_bias: &mut Array<Vector<f32, N>>,
    of_weight: &mut Array<Vector<f32, N>>,
    epsilon: f32,
    rows: usize,
    chunk: usize,
    units: usize,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lanes = weight.len();
    let lane = ABSOLUTE_POS % lanes;
    let first = ABSOLUTE_POS / lanes * chunk;
    let norm = Lane::<N>::read(weight, bias, mean, variance, epsilon, lane);
    let mut plain = Vector::<f32, N>::new(0.0);
    let mut weighed = Vector::<f32, N>::new(0.0);
    for row in first..min(first + chunk, rows) {
        let at = row * lanes + lane;
        let standard = (Vector::<f32, N>::cast_from(x[at]) - norm.mean) * norm.scale;
        let behind = Vector::<f32, N>::cast_from(gradient[at]);
        let inner = behind * slope::<N>(standard * norm.weight + norm.bias, activation);
        plain += inner;
        weighed += inner * standard;
    }
    of_bias[ABSOLUTE_POS] = plain;
    of_weight[ABSOLUTE_POS] = weighed;
}

#[cube(launch)]
fn normalize_backward_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    gradient: &Array<Vector<F, N>>,
    weight: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    variance: &Array<Vector<f32, N>>,
    of_bias: &Array<Vector<f32, N>>,
    of_weight: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<F, N>>,
    epsilon: f32,
    share: f32,
    vectors: usize,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let lane = ABSOLUTE_POS % weight.len();
    let norm = Lane::<N>::read(weight, bias, mean, variance, epsilon, lane);
    let standard = (Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]) - norm.mean) * norm.scale;
    let behind = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
    let inner = behind * slope::<N>(standard * norm.weight + norm.bias, activation);
    let usual = (of_bias[lane] + standard * of_weight[lane]) * Vector::new(share);
    out[ABSOLUTE_POS] = Vector::cast_from((inner - usual) * norm.weight * norm.scale);
}

/// Mean and variance of each channel, `[1, channels, 1, 1]` in `f32`.
pub fn moments<R: CubeRuntime>(x: CubeTensor<R>) -> (CubeTensor<R>, CubeTensor<R>) {
    let x = Maps::of(x);
    let rows = x.count * x.places();
    let share = 1.0 / rows as f32;
    let mean = scaled(sums(&x, None, Over::All), share, DType::F32);
    let (chunks, chunk) = cut(rows);
    let part = empty(&x.tensor, [1, chunks, x.channels], DType::F32);
    let units = chunks * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    squares_kernel::launch::<R>(
        &part.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        mean.clone().into_array_arg(),
        part.clone().into_array_arg(),
        rows,
        chunk,
        units,
        x.tensor.dtype.into(),
    );
    (mean, scaled(total(part, [1, chunks, x.channels]), share, DType::F32))
}

/// `activation((x - mean) / sqrt(variance + epsilon) * weight + bias)`.
pub fn normalize<R: CubeRuntime>(x: CubeTensor<R>, norm: Norm<R>, activation: Activation) -> CubeTensor<R> {
    let (x, norm) = (Maps::of(x), norm.exact());
    let (out, vectors, numbers) = (x.like(), x.vectors(), x.tensor.dtype.into());
    let (cubes, cube) = threads(&x.tensor, vectors);
    normalize_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.into_array_arg(),
        norm.weight.into_array_arg(),
        norm.bias.into_array_arg(),
        norm.mean.into_array_arg(),
        norm.variance.into_array_arg(),
        out.tensor.clone().into_array_arg(),
        norm.epsilon,
        vectors,
        activation,
        numbers,
    );
    out.into_tensor()
}

/// The gradients of what went into [`normalize`], where mean and variance are those of `x`: of the maps,
/// the weight and the bias.
///
/// Ioffe and Szegedy 2015, section 3, with their sums written as means.
pub fn normalize_backward<R: CubeRuntime>(
    x: CubeTensor<R>,
    norm: Norm<R>,
    activation: Activation,
    gradient: CubeTensor<R>,
) -> [CubeTensor<R>; 3] {
    let (numbers_of_weight, numbers_of_bias) = (norm.weight.dtype, norm.bias.dtype);
    let (x, norm, gradient) = (Maps::of(x), norm.exact(), Maps::of(gradient));
    let rows = x.count * x.places();
    let (chunks, chunk) = cut(rows);
    let part = || empty(&x.tensor, [1, chunks, x.channels], DType::F32);
    let (of_bias, of_weight) = (part(), part());
    let units = chunks * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    gradient_sums_kernel::launch::<R>(
        &of_bias.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        gradient.tensor.clone().into_array_arg(),
        norm.weight.clone().into_array_arg(),
        norm.bias.clone().into_array_arg(),
        norm.mean.clone().into_array_arg(),
        norm.variance.clone().into_array_arg(),
        of_bias.clone().into_array_arg(),
        of_weight.clone().into_array_arg(),
        norm.epsilon,
        rows,
        chunk,
        units,
        activation,
        x.tensor.dtype.into(),
    );
    let [of_bias, of_weight] = [of_bias, of_weight].map(|part| total(part, [1, chunks, x.channels]));
    let (out, vectors, numbers) = (x.like(), x.vectors(), x.tensor.dtype.into());
    let (cubes, cube) = threads(&x.tensor, vectors);
    normalize_backward_kernel::launch::<R>(
        &out.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.into_array_arg(),
        gradient.tensor.into_array_arg(),
        norm.weight.into_array_arg(),
        norm.bias.into_array_arg(),
        norm.mean.into_array_arg(),
        norm.variance.into_array_arg(),
        of_bias.clone().into_array_arg(),
        of_weight.clone().into_array_arg(),
        out.tensor.clone().into_array_arg(),
        norm.epsilon,
        1.0 / rows as f32,
        vectors,
        activation,
        numbers,
    );
    [out.into_tensor(), cast(of_weight, numbers_of_weight), cast(of_bias, numbers_of_bias)]
}
