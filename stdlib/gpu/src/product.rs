//! Products of matrices, and what is fused with them.
//!
//! The fastest of some kernels is found by trying, once for each kind of shape. Kernels that load a stage while
//! they compute another are not among them: those of cubek 0.2 take two stages at a time and read behind the last
//! number where stages are odd in number (`docs/decisions.md`), and Burn's own choice has them.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;
use cubecl::std::tensor::launch::ViewArg;
use cubecl::std::tensor::{MatrixBatchLayout, matrix_batch_layout};
use cubecl::tensor_vector_size_parallel;
use cubecl::tune::{LocalTuner, Tunable, TunableSet, TuneGroup, local_tuner};
use cubek::matmul::components::global::memory::{GlobalLayout, GlobalLayoutLaunch};
use cubek::matmul::components::tile::TileMatmulKind;
use cubek::matmul::definition::{Blueprint, MatmulGlobalElems, MatmulProblem, MatmulSetupError, MatmulVectorSizes};
use cubek::matmul::launch::{
    ConcreteInputsFactory, ConcreteOutputFactory, InputArg, MatmulAutotuneKey, MatmulProblemDefinition, OutputArg,
    TensorArgs, launch_kernel,
};
use cubek::matmul::routines::naive::NaiveRoutine;
use cubek::matmul::routines::simple::{SimpleAlgorithm, SimpleArgs};
use cubek::matmul::routines::simple_unit::{SimpleUnitAlgorithm, SimpleUnitSelectionArgs};
use cubek::matmul::routines::{BlueprintStrategy, Routine, TileSizeSelection};
use cubek::std::{InputBinding, MatrixLayout};

use crate::fused::{Fused, FusedArgs, FusedInputsLaunch, FusedOutputLaunch, repeated};
use crate::maps::{empty, tight};
use crate::tried::{Trial, kind_of_card, one_at_a_time};

/// In which numbers the factors of a product are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Products {
    /// In their own.
    Exact,
    /// In their own, by a kernel that is compiled at once and slow: for programs that play a GPU.
    Plain,
    /// In those of the fastest kernel: on NVIDIA's tensor cores `f32` loses 13 of its 24 digits (TF32).
    Rounded,
}

/// What a kernel takes, and where it writes.
#[derive(Clone)]
struct Operands<R: CubeRuntime> {
    left: CubeTensor<R>,
    right: CubeTensor<R>,
    out: CubeTensor<R>,
    fused: Fused<R>,
}

/// A kernel that multiplies.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    /// A thread for each number, for all shapes.
    Naive,
    /// Without tensor cores.
    Units(TileSizeSelection),
    /// With tensor cores, which take one row of tiles or several at a time.
    TensorCores(TileMatmulKind, bool),
}

/// Multiplications below which starting a kernel takes longer than what tensor cores save.
const FEW: usize = 1 << 23;

impl Kernel {
    /// How early it is tried for such matrices: each that is tried has to be compiled.
    fn fits(self, key: &MatmulAutotuneKey) -> i8 {
        let MatmulProblemDefinition { m, n, k, .. } = key.definition;
        match (self, m * n * k < FEW) {
            // Of those that share tiles, few cubes have all there is to do: a thread for each number may be faster.
            (Self::Naive | Self::Units(_), true) | (Self::TensorCores(..), false) => 2,
            (Self::Units(_), false) | (Self::TensorCores(..), true) => 1,
            (Self::Naive, false) => 0,
        }
    }
}

/// Numbers that a thread writes at once of a tile of `mma`, 16 by 8: with more, half of the 32 threads that share one
/// would have nothing to finish.
const MMA_OUT: usize = 4;

const NAIVE: (&str, Kernel) = ("naive", Kernel::Naive);

const UNITS: [(&str, Kernel); 2] = [
    ("units-max", Kernel::Units(TileSizeSelection::MaxTileSize)),
    ("units-min", Kernel::Units(TileSizeSelection::MinTileSize)),
];

const TENSOR_CORES: [(&str, Kernel); 4] = [
    ("cmma", Kernel::TensorCores(TileMatmulKind::Cmma, false)),
    ("mma", Kernel::TensorCores(TileMatmulKind::Mma, false)),
    ("cmma-rows", Kernel::TensorCores(TileMatmulKind::Cmma, true)),
    ("mma-rows", Kernel::TensorCores(TileMatmulKind::Mma, true)),
];

/// `[groups, rows, inner]` times `[groups, inner, columns]`, in numbers of that kind.
pub fn product<R: CubeRuntime>(
    left: CubeTensor<R>,
    right: CubeTensor<R>,
    products: Products,
    numbers: DType,
) -> CubeTensor<R> {
    let out = empty(&left, sizes(&left, &right), numbers);
    multiply(Operands { left, right, out, fused: Fused::nothing() }, products)
}

/// `[1, rows, inner]` times `[1, inner, columns]`, and what is fused with it, in the numbers of the left one.
pub(crate) fn fused_product<R: CubeRuntime>(
    left: CubeTensor<R>,
    right: CubeTensor<R>,
    products: Products,
    fused: Fused<R>,
) -> CubeTensor<R> {
    let (out, fused) = (empty(&left, sizes(&left, &right), left.dtype), fused.rows(&left));
    multiply(Operands { left, right, out, fused }, products)
}

/// What each kernel that can makes of `left` times `right` and of what is fused with it, by the kernel's name: what
/// [`product`] and [`convolve_fused`](crate::convolve_fused) choose from.
pub fn product_by_each<R: CubeRuntime>(
    left: CubeTensor<R>,
    right: CubeTensor<R>,
    fused: Fused<R>,
) -> Vec<(&'static str, CubeTensor<R>)> {
    let kernels = [&[NAIVE], &UNITS[..], &TENSOR_CORES].concat();
    let fused = fused.rows(&left);
    let outcome = |(name, kernel)| {
        let out = empty(&left, sizes(&left, &right), left.dtype);
        let (left, right, fused) = (left.clone(), right.clone(), fused.clone());
        let ran = run(kernel, Operands { left, right, out: out.clone(), fused });
        ran.is_ok().then_some((name, out))
    };
    kernels.into_iter().filter_map(outcome).collect()
}

fn multiply<R: CubeRuntime>(operands: Operands<R>, products: Products) -> CubeTensor<R> {
    // Half of the bits lose nothing on tensor cores: they multiply them as they are and add in `f32`.
    let is_exact = products == Products::Exact && operands.left.dtype == DType::F32;
    let out = operands.out.clone();
    match products {
        Products::Plain => {
            if let Err(error) = run(Kernel::Naive, operands) {
                unreachable!("the simplest kernel takes all shapes: {error:?}");
            }
        }
        _ => tuned(is_exact, operands),
    }
    out
}

/// Has the fastest of the kernels multiply, which is found by trying. Cards of one kind share what was found, so that it
/// does not matter which of them computes what.
fn tuned<R: CubeRuntime>(is_exact: bool, operands: Operands<R>) {
    static EXACT: LocalTuner<MatmulAutotuneKey, String> = local_tuner!("units");
    static ROUNDED: LocalTuner<MatmulAutotuneKey, String> = local_tuner!("tensor-cores");
    let tuner = if is_exact { &EXACT } else { &ROUNDED };
    let tunables = tuner.init(move || {
        let inputs = |_: &MatmulAutotuneKey, operands: &Operands<R>| -> Operands<R> {
            Operands { out: operands.out.copy(), ..operands.clone() }
        };
        // The first takes all shapes, and is what is fallen back to.
        let tensor_cores = if is_exact { &[][..] } else { &TENSOR_CORES };
        let all = [&[NAIVE], &UNITS[..], tensor_cores].concat().into_iter();
        all.fold(TunableSet::new(key::<R>, inputs), |set, (name, kernel)| {
            let run = move |operands| run(kernel, operands).map_err(|error| format!("{error:?}"));
            // Those of a group are tried where no kernel of a group before it can.
            let group = TuneGroup::new(name, move |key| kernel.fits(key));
            set.with(Tunable::new(name, run).group(&group, |_| 0))
        })
    });
    let (client, card) = (operands.out.client.clone(), kind_of_card(&operands.out));
    let trial = Trial::Product { card: card.clone(), is_exact, shapes: key(&operands) };
    one_at_a_time(trial, || tuner.execute(&card, &client, tunables, operands));
}

fn run<R: CubeRuntime>(kernel: Kernel, mut operands: Operands<R>) -> Result<(), MatmulSetupError> {
    let Operands { left, right, .. } = &mut operands;
    match kernel {
        Kernel::Naive => {
            // A thread goes along a row of the left one and a column of the right one.
            *left = tight(left.clone());
            *right = permute(tight(permute(right.clone(), &[0, 2, 1])), &[0, 2, 1]);
            let vectors = MatmulVectorSizes { lhs: vector(left, 2), rhs: vector(right, 1), out: 1 };
            launch::<R, NaiveRoutine>(operands, vectors, &BlueprintStrategy::Inferred(().into()))
        }
        Kernel::Units(tile_size) => {
            let args = SimpleUnitSelectionArgs { tile_size };
            let (operands, vectors) = laid_out(operands);
            launch::<R, SimpleUnitAlgorithm>(operands, vectors, &BlueprintStrategy::Inferred(args))
        }
        Kernel::TensorCores(tile_matmul, multi_rows) => {
            let args = SimpleArgs { tile_matmul, multi_rows };
            let (operands, vectors) = laid_out(operands);
            let vectors = match tile_matmul {
                TileMatmulKind::Mma => MatmulVectorSizes { out: vectors.out.min(MMA_OUT), ..vectors },
                _ => vectors,
            };
            launch::<R, SimpleAlgorithm>(operands, vectors, &BlueprintStrategy::Inferred(args))
        }
    }
}

/// Matrices whose rows or columns lie together, and how many of their numbers go at once.
fn laid_out<R: CubeRuntime>(operands: Operands<R>) -> (Operands<R>, MatmulVectorSizes) {
    let side = |matrix: CubeTensor<R>| match matrix_batch_layout(matrix.meta.strides(), None) {
        MatrixBatchLayout::HighlyPermuted => into_contiguous(matrix),
        _ => matrix,
    };
    let along = |matrix: &CubeTensor<R>| match MatrixLayout::from_shape_and_strides(
        matrix.meta.shape(),
        matrix.meta.strides(),
        None,
    ) {
        Ok(MatrixLayout::ColMajor) => vector(matrix, 1),
        _ => vector(matrix, 2),
    };
    let operands = Operands { left: side(operands.left), right: side(operands.right), ..operands };
    let Operands { left, right, out, .. } = &operands;
    let vectors = MatmulVectorSizes { lhs: along(left), rhs: along(right), out: vector(out, 2) };
    (operands, vectors)
}

/// How many numbers along an axis a thread takes at once.
fn vector<R: CubeRuntime>(matrix: &CubeTensor<R>, axis: usize) -> usize {
    let sizes = matrix.client.io_optimized_vector_sizes(matrix.dtype.size());
    tensor_vector_size_parallel(sizes, matrix.meta.shape(), matrix.meta.strides(), axis)
}

fn launch<R: CubeRuntime, A: Routine<()>>(
    Operands { left, right, out, fused }: Operands<R>,
    vectors: MatmulVectorSizes,
    strategy: &BlueprintStrategy<(), A>,
) -> Result<(), MatmulSetupError> {
    let numbers = |tensor: &CubeTensor<R>| tensor.dtype.into();
    let elements = MatmulGlobalElems { lhs: numbers(&left), rhs: numbers(&right), out: numbers(&out) };
    let client = out.client.clone();
    let problem = MatmulProblem::from_shapes_and_strides(
        left.meta.shape().clone(),
        right.meta.shape().clone(),
        out.meta.shape().clone(),
        left.meta.strides().clone(),
        right.meta.strides().clone(),
        out.meta.strides().clone(),
        elements.clone(),
        left.required_address_type().max(right.required_address_type()).max(out.required_address_type()),
        None,
        None,
    )?;
    let settings = A::device_settings(&client, vectors);
    let expanded = A::expand_blueprint(&problem, &settings, strategy)?;
    let mut info = A::prepare(&problem, &settings, expanded)?;
    // Sums of 16 bits would begin as zeros that CubeCL converts from `f64`, one by one.
    info.dtypes.acc_stage = info.dtypes.acc_register;
    let blueprint = &info.blueprint;

    let rows = problem.m;
    let of_out = info.vector_sizes.out;
    let gate = fused.gate.map(|gate| repeated(gate, rows, info.vector_sizes.lhs));
    let bias = fused.bias.map(|bias| repeated(bias, rows, of_out));
    let rest = fused.rest.map(|rest| {
        let rest = rest.binding();
        let layout = GlobalLayoutLaunch::from_handle(&rest, of_out, blueprint.out_global_layout_config());
        ViewArg::new_tensor::<GlobalLayout>(rest.into_tensor_arg(), layout)
    });
    let tensors = <InputArg<TensorArgs> as ConcreteInputsFactory<A>>::create(
        InputBinding::new(left.binding(), elements.lhs),
        InputBinding::new(right.binding(), elements.rhs),
        blueprint,
        &problem,
        &info.vector_sizes,
        &info.dtypes,
    );
    let written = <OutputArg<TensorArgs> as ConcreteOutputFactory<A>>::create(
        out.binding(),
        blueprint,
        &problem,
        &info.vector_sizes,
        &info.dtypes,
    );
    let input = FusedInputsLaunch::new(tensors, gate.into());
    let output = FusedOutputLaunch::new(written, bias.into(), rest.into(), fused.activation);
    launch_kernel::<FusedArgs, R, A>(&client, input, output, (), info)
}

fn key<R: CubeRuntime>(Operands { left, right, out, .. }: &Operands<R>) -> MatmulAutotuneKey {
    MatmulAutotuneKey::generate(
        &left.client,
        left.meta.shape(),
        right.meta.shape(),
        left.meta.strides(),
        right.meta.strides(),
        left.dtype.into(),
        right.dtype.into(),
        out.dtype.into(),
        None,
        None,
    )
}

fn sizes<R: CubeRuntime>(left: &CubeTensor<R>, right: &CubeTensor<R>) -> [usize; 3] {
    let ([groups, rows, _], [.., columns]): ([usize; 3], [usize; 3]) =
        (left.meta.shape().dims(), right.meta.shape().dims());
    [groups, rows, columns]
}
