//! How weights follow gradients, in one pass over all that an optimizer keeps of them.
//!
//! Weights lie one behind the other in one tensor of `f32`, and so does all that is kept of them; their gradients lie
//! where they came to be. A launch takes many of these: a network has hundreds of weights, most of which are small.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::threads;
use crate::maps::{empty, tight, vector};

/// Pieces that a launch takes at most: each costs every thread a comparison.
const PIECES: usize = 32;

/// A step of AdamW (Loshchilov and Hutter 2019) with its factors as they are at that step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// What weight decay leaves of the weight.
    pub keep: f32,
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f32; 2],
    /// The learning rate over what the mean of the gradients lacks at that step.
    pub rate: f32,
    /// One over what the mean of their squares lacks.
    pub unbias: f32,
    /// Added to the denominator.
    pub eps: f32,
}

/// A step of stochastic gradient descent, as PyTorch has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f32,
    /// What stays of the last step.
    pub momentum: f32,
    /// How much of the weight is added to its gradient.
    pub weight_decay: f32,
}

/// What belongs to some of the numbers of a flat tensor.
#[derive(Debug, Clone)]
pub struct Piece<T> {
    /// Where they begin: a multiple of [`ALIGNMENT`](crate::ALIGNMENT).
    pub start: usize,
    /// One number for each of them, row-major.
    pub tensor: T,
    /// What these are multiplied by.
    pub factor: f32,
}

/// Where a thread's numbers lie, and what of a piece belongs to them.
#[derive(CubeType)]
struct Found<N: Size> {
    at: usize,
    numbers: Vector<f32, N>,
}

/// Of pieces that begin at such vectors, times their factors.
#[cube]
fn find<G: Float, N: Size>(
    pieces: &Sequence<Array<Vector<G, N>>>,
    starts: &Sequence<usize>,
    factors: &Sequence<f32>,
) -> Found<N> {
    let mut numbers = Vector::<f32, N>::new(0.0);
    let mut at = 0;
    let mut before = 0;
    #[unroll]
    for index in 0..pieces.len() {
        let candidate = &pieces[index];
        let behind = before + candidate.len();
        if ABSOLUTE_POS >= before && ABSOLUTE_POS < behind {
            numbers = Vector::cast_from(candidate[ABSOLUTE_POS - before]) * Vector::new(factors[index]);
            at = starts[index] + ABSOLUTE_POS - before;
        }
        before = behind;
    }
    Found::<N> { at, numbers }
}

#[cube(launch)]
fn adamw_kernel<G: Float, N: Size>(
    gradients: &Sequence<Array<Vector<G, N>>>,
    starts: Sequence<usize>,
    factors: Sequence<f32>,
    weights: &Array<Vector<f32, N>>,
    mean: &Array<Vector<f32, N>>,
    square: &Array<Vector<f32, N>>,
    weights_out: &mut Array<Vector<f32, N>>,
    mean_out: &mut Array<Vector<f32, N>>,
    square_out: &mut Array<Vector<f32, N>>,
    keep: f32,
    of_mean: f32,
    of_square: f32,
    rate: f32,
    unbias: f32,
    eps: f32,
    vectors: usize,
    #[define(G)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let found = find::<G, N>(gradients, &starts, &factors);
    let (at, slope) = (found.at, found.numbers);
    let mean = mean[at] * Vector::new(of_mean) + slope * Vector::new(1.0 - of_mean);
    let square = square[at] * Vector::new(of_square) + slope * slope * Vector::new(1.0 - of_square);
    let deviation = (square * Vector::new(unbias)).sqrt() + Vector::new(eps);
    weights_out[at] = weights[at] * Vector::new(keep) - mean * Vector::new(rate) / deviation;
    mean_out[at] = mean;
    square_out[at] = square;
}

#[cube(launch)]
fn sgd_kernel<G: Float, N: Size>(
    gradients: &Sequence<Array<Vector<G, N>>>,
    starts: Sequence<usize>,
    factors: Sequence<f32>,
    weights: &Array<Vector<f32, N>>,
    velocity: &Array<Vector<f32, N>>,
    weights_out: &mut Array<Vector<f32, N>>,
    velocity_out: &mut Array<Vector<f32, N>>,
    lr: f32,
    momentum: f32,
    weight_decay: f32,
    vectors: usize,
    #[define(G)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let found = find::<G, N>(gradients, &starts, &factors);
    let at = found.at;
    let before = weights[at];
    let slope = found.numbers + before * Vector::new(weight_decay);
    let velocity = velocity[at] * Vector::new(momentum) + slope;
    weights_out[at] = before - velocity * Vector::new(lr);
    velocity_out[at] = velocity;
}

#[cube(launch)]
fn blend_kernel<G: Float, N: Size>(
    pieces: &Sequence<Array<Vector<G, N>>>,
    starts: Sequence<usize>,
    factors: Sequence<f32>,
    flat: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<f32, N>>,
    share: f32,
    vectors: usize,
    #[define(G)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    let found = find::<G, N>(pieces, &starts, &factors);
    out[found.at] = flat[found.at] * Vector::new(share) + found.numbers;
}

/// Pieces that one launch takes: of one kind of numbers, as many at once.
struct Batch<R: CubeRuntime> {
    numbers: DType,
    /// Numbers that lie together as one vector.
    size: usize,
    pieces: Vec<Piece<CubeTensor<R>>>,
}

impl<R: CubeRuntime> Batch<R> {
    /// Those that all pieces make beside so many other tensors.
    fn of(pieces: Vec<Piece<CubeTensor<R>>>, others: usize) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for piece in pieces {
            let piece = Piece { tensor: tight(piece.tensor), ..piece };
            let bindings = piece.tensor.client.properties().hardware.max_bindings as usize;
            // One is for what CubeCL adds: lengths and scalars.
            let most = bindings.saturating_sub(others + 1).clamp(1, PIECES);
            let (numbers, size) = (piece.tensor.dtype, vector(piece.tensor.meta.num_elements()));
            let open = all
                .iter_mut()
                .find(|batch| (batch.numbers, batch.size) == (numbers, size) && batch.pieces.len() < most);
            match open {
                Some(batch) => batch.pieces.push(piece),
                None => all.push(Self { numbers, size, pieces: vec![piece] }),
            }
        }
        all
    }

    fn vectors(&self) -> usize {
        self.pieces.iter().map(|piece| piece.tensor.meta.num_elements() / self.size).sum()
    }

    fn threads(&self) -> (CubeCount, CubeDim) {
        threads(&self.pieces[0].tensor, self.vectors())
    }

    /// The tensors, where they begin, and their factors.
    fn into_arguments<T: LaunchArg<RuntimeArg<R> = ArrayArg<R>>>(
        self,
    ) -> (SequenceArg<R, T>, SequenceArg<R, usize>, SequenceArg<R, f32>) {
        let (mut tensors, mut starts, mut factors) = (SequenceArg::new(), SequenceArg::new(), SequenceArg::new());
        for piece in self.pieces {
            tensors.push(piece.tensor.into_array_arg());
            starts.push(piece.start / self.size);
            factors.push(piece.factor);
        }
        (tensors, starts, factors)
    }
}

/// Weights after a step of AdamW, with the running means of their gradients and of the gradients' squares. There is a
/// piece for each weight; numbers between them are not written.
pub fn adamw<R: CubeRuntime>(
    weights: CubeTensor<R>,
    gradients: Vec<Piece<CubeTensor<R>>>,
    kept: [CubeTensor<R>; 2],
    step: AdamWStep,
) -> [CubeTensor<R>; 3] {
    let [weights, mean, square] = [weights, kept[0].clone(), kept[1].clone()].map(tight);
    let out = [(); 3].map(|()| like(&weights));
    for batch in Batch::of(gradients, 6) {
        let (cubes, cube) = batch.threads();
        let (size, numbers, vectors) = (batch.size, batch.numbers, batch.vectors());
        let (gradients, starts, factors) = batch.into_arguments();
        adamw_kernel::launch::<R>(
            &weights.client,
            cubes,
            cube,
            size,
            gradients,
            starts,
            factors,
            weights.clone().into_array_arg(),
            mean.clone().into_array_arg(),
            square.clone().into_array_arg(),
            out[0].clone().into_array_arg(),
            out[1].clone().into_array_arg(),
            out[2].clone().into_array_arg(),
            step.keep,
            step.betas[0],
            step.betas[1],
            step.rate,
            step.unbias,
            step.eps,
            vectors,
            numbers.into(),
        );
    }
    out
}

/// Weights after a step of stochastic gradient descent, with their velocities. There is a piece for each weight; numbers
/// between them are not written.
pub fn sgd<R: CubeRuntime>(
    weights: CubeTensor<R>,
    gradients: Vec<Piece<CubeTensor<R>>>,
    velocity: CubeTensor<R>,
    step: SgdStep,
) -> [CubeTensor<R>; 2] {
    let [weights, velocity] = [weights, velocity].map(tight);
    let out = [(); 2].map(|()| like(&weights));
    for batch in Batch::of(gradients, 4) {
        let (cubes, cube) = batch.threads();
        let (size, numbers, vectors) = (batch.size, batch.numbers, batch.vectors());
        let (gradients, starts, factors) = batch.into_arguments();
        sgd_kernel::launch::<R>(
            &weights.client,
            cubes,
            cube,
            size,
            gradients,
            starts,
            factors,
            weights.clone().into_array_arg(),
            velocity.clone().into_array_arg(),
            out[0].clone().into_array_arg(),
            out[1].clone().into_array_arg(),
            step.lr,
            step.momentum,
            step.weight_decay,
            vectors,
            numbers.into(),
        );
    }
    out
}

/// A share of the numbers of a flat tensor, and pieces added to it. There is a piece for each tensor in it; numbers
/// between them are not written.
pub fn blend<R: CubeRuntime>(flat: CubeTensor<R>, share: f32, pieces: Vec<Piece<CubeTensor<R>>>) -> CubeTensor<R> {
    let flat = tight(flat);
    let out = like(&flat);
    for batch in Batch::of(pieces, 2) {
        let (cubes, cube) = batch.threads();
        let (size, numbers, vectors) = (batch.size, batch.numbers, batch.vectors());
        let (pieces, starts, factors) = batch.into_arguments();
        blend_kernel::launch::<R>(
            &flat.client,
            cubes,
            cube,
            size,
            pieces,
            starts,
            factors,
            flat.clone().into_array_arg(),
            out.clone().into_array_arg(),
            share,
            vectors,
            numbers.into(),
        );
    }
    out
}

/// Numbers to be written, as many.
fn like<R: CubeRuntime>(flat: &CubeTensor<R>) -> CubeTensor<R> {
    empty(flat, [flat.meta.num_elements()], flat.dtype)
}
