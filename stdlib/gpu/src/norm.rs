//! Batch normalisation with the statistics of what comes, and the activation behind it.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::function::{activate, slope};
use crate::launch::threads;
use crate::maps::{Maps, empty, exact, tight};
use crate::sums::total;
use crate::team::{Cut, Team, share, together};

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
    /// As kernels read it: statistics in `f32`, weight and bias in numbers of one kind.
    fn laid_out(self) -> Self {
        Self {
            bias: tight(cast(self.bias, self.weight.dtype)),
            weight: tight(self.weight),
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
    fn read<G: Float>(
        weight: &Array<Vector<G, N>>,
        bias: &Array<Vector<G, N>>,
        mean: &Array<Vector<f32, N>>,
        variance: &Array<Vector<f32, N>>,
        epsilon: f32,
        lane: usize,
    ) -> Self {
        let scale = (variance[lane] + Vector::new(epsilon)).inverse_sqrt();
        Lane::<N> {
            weight: Vector::cast_from(weight.read_unchecked(lane)),
            bias: Vector::cast_from(bias.read_unchecked(lane)),
            mean: mean[lane],
            scale,
        }
    }
}

#[cube(launch)]
fn normalize_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    weight: &Array<Vector<G, N>>,
    bias: &Array<Vector<G, N>>,
    mean: &Array<Vector<f32, N>>,
    variance: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<F, N>>,
    epsilon: f32,
    vectors: usize,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_norm: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let norm = Lane::<N>::read::<G>(weight, bias, mean, variance, epsilon, ABSOLUTE_POS % weight.len());
    let standard = (Vector::<f32, N>::cast_from(x.read_unchecked(ABSOLUTE_POS)) - norm.mean) * norm.scale;
    out[ABSOLUTE_POS] = Vector::cast_from(activate::<N>(standard * norm.weight + norm.bias, activation));
}

/// The sums behind the gradients of the bias and of the weight.
#[cube(launch)]
fn gradient_sums_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    gradient: &Array<Vector<F, N>>,
    weight: &Array<Vector<G, N>>,
    bias: &Array<Vector<G, N>>,
    mean: &Array<Vector<f32, N>>,
    variance: &Array<Vector<f32, N>>,
    of_bias: &mut Array<Vector<f32, N>>,
    of_weight: &mut Array<Vector<f32, N>>,
    epsilon: f32,
    rows: usize,
    chunks: usize,
    chunk: usize,
    #[comptime] team: Team,
    #[comptime] activation: Activation,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_norm: StorageType,
) {
    let lanes = weight.len();
    let share = share(rows, lanes, 1, chunks, chunk, team);
    let mut plain = Vector::<f32, N>::new(0.0);
    let mut weighed = Vector::<f32, N>::new(0.0);
    if share.first < share.last {
        let norm = Lane::<N>::read::<G>(weight, bias, mean, variance, epsilon, share.lane);
        let mut row = share.first;
        while row < share.last {
            let at = row * lanes + share.lane;
            let standard = (Vector::<f32, N>::cast_from(x.read_unchecked(at)) - norm.mean) * norm.scale;
            let behind = Vector::<f32, N>::cast_from(gradient.read_unchecked(at));
            let inner = behind * slope::<N>(standard * norm.weight + norm.bias, activation);
            plain += inner;
            weighed += inner * standard;
            row += comptime![team.members];
        }
    }
    let plain = together::<N>(plain, team);
    let weighed = together::<N>(weighed, team);
    if share.is_writer {
        let at = share.chunk * lanes + share.lane;
        of_bias[at] = plain;
        of_weight[at] = weighed;
    }
}

#[cube(launch)]
fn normalize_backward_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    gradient: &Array<Vector<F, N>>,
    weight: &Array<Vector<G, N>>,
    bias: &Array<Vector<G, N>>,
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
    #[define(G)] _of_norm: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let lane = ABSOLUTE_POS % weight.len();
    let norm = Lane::<N>::read::<G>(weight, bias, mean, variance, epsilon, lane);
    let standard = (Vector::<f32, N>::cast_from(x.read_unchecked(ABSOLUTE_POS)) - norm.mean) * norm.scale;
    let behind = Vector::<f32, N>::cast_from(gradient.read_unchecked(ABSOLUTE_POS));
    let inner = behind * slope::<N>(standard * norm.weight + norm.bias, activation);
    let usual = (of_bias[lane] + standard * of_weight[lane]) * Vector::new(share);
    out[ABSOLUTE_POS] = Vector::cast_from((inner - usual) * norm.weight * norm.scale);
}

/// `activation((x - mean) / sqrt(variance + epsilon) * weight + bias)`.
pub fn normalize<R: CubeRuntime>(x: CubeTensor<R>, norm: Norm<R>, activation: Activation) -> CubeTensor<R> {
    let (x, norm) = (Maps::of(x), norm.laid_out());
    let (out, vectors, numbers, of_norm) = (x.like(), x.vectors(), x.tensor.dtype.into(), norm.weight.dtype.into());
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
        of_norm,
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
    let of_norm = norm.weight.dtype.into();
    let (x, norm, gradient) = (Maps::of(x), norm.laid_out(), Maps::of(gradient));
    let cut = Cut::new(1, x.count * x.places(), x.lanes());
    let [of_bias, of_weight] = [(); 2].map(|()| empty(&x.tensor, [1, cut.chunks, x.channels], DType::F32));
    let (cubes, cube) = cut.threads(&x.tensor);
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
        cut.rows,
        cut.chunks,
        cut.chunk,
        cut.team,
        activation,
        x.tensor.dtype.into(),
        of_norm,
    );
    let [of_bias, of_weight] =
        [of_bias, of_weight].map(|part| total(part, [1, cut.chunks, x.channels], 1.0, DType::F32));
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
        1.0 / cut.rows as f32,
        vectors,
        activation,
        numbers,
        of_norm,
    );
    [out.into_tensor(), cast(of_weight, numbers_of_weight), cast(of_bias, numbers_of_bias)]
}
