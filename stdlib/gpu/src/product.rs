//! Products of matrices.
//!
//! The fastest of some kernels is found by trying, once for each kind of shape. Kernels that load a stage while
//! they compute another are not among them: those of cubek 0.2 take two stages at a time and read behind the last
//! number where stages are odd in number (`docs/decisions.md`), and Burn's own choice has them.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::CubeTuneId;
use burn_cubecl::tensor::CubeTensor;
use cubecl::tune::{LocalTuner, Tunable, TunableSet, TuneGroup, local_tuner};
use cubek::matmul::components::tile::TileMatmulKind;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::{MatmulAutotuneKey, Strategy, launch_ref};
use cubek::matmul::routines::simple::SimpleArgs;
use cubek::matmul::routines::simple_unit::SimpleUnitSelectionArgs;
use cubek::matmul::routines::{BlueprintStrategy, TileSizeSelection};
use cubek::std::InputBinding;

use crate::maps::empty;

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

type Operands<R> = (CubeTensor<R>, CubeTensor<R>, CubeTensor<R>);

/// `[groups, rows, inner]` times `[groups, inner, columns]`, in numbers of that kind.
pub fn product<R: CubeRuntime>(
    left: CubeTensor<R>,
    right: CubeTensor<R>,
    products: Products,
    numbers: DType,
) -> CubeTensor<R> {
    static UNITS: LocalTuner<MatmulAutotuneKey, CubeTuneId> = local_tuner!("units");
    static TENSOR_CORES: LocalTuner<MatmulAutotuneKey, CubeTuneId> = local_tuner!("tensor-cores");
    let out = empty(&left, sizes(&left, &right), numbers);
    // Half of the bits lose nothing on tensor cores: they multiply them as they are and add in `f32`.
    let is_exact = products == Products::Exact && left.dtype == DType::F32;
    let operands = (left, right, out.clone());
    match products {
        Products::Plain => {
            if let Err(error) = launch(&Strategy::Naive, operands) {
                unreachable!("the simplest kernel takes all shapes: {error}");
            }
        }
        _ if is_exact => tuned(&UNITS, units, operands),
        _ => tuned(&TENSOR_CORES, all, operands),
    }
    out
}

/// Kernels without tensor cores.
fn units() -> Vec<Strategy> {
    let simple = |tile_size| Strategy::SimpleUnit(BlueprintStrategy::Inferred(SimpleUnitSelectionArgs { tile_size }));
    [TileSizeSelection::MaxTileSize, TileSizeSelection::MinTileSize].map(simple).to_vec()
}

/// Those, and kernels for tensor cores, which take one row of tiles or several at a time.
fn all() -> Vec<Strategy> {
    let of = |multi_rows| {
        let args = |tile_matmul| BlueprintStrategy::Inferred(SimpleArgs { multi_rows, tile_matmul });
        let [whole, parts] = [TileMatmulKind::Cmma, TileMatmulKind::Mma].map(args);
        [Strategy::SimpleCyclicCmma(whole), Strategy::SimpleCyclicMma(parts)]
    };
    [units(), [false, true].map(of).concat()].concat()
}

/// Has the fastest of the kernels multiply, which is found by trying.
fn tuned<R: CubeRuntime>(
    tuner: &'static LocalTuner<MatmulAutotuneKey, CubeTuneId>,
    strategies: fn() -> Vec<Strategy>,
    operands: Operands<R>,
) {
    let tunables = tuner.init(move || {
        let inputs = |_: &MatmulAutotuneKey, (left, right, out): &Operands<R>| -> Operands<R> {
            (left.clone(), right.clone(), out.copy())
        };
        // The first takes all shapes, and is what is fallen back to.
        let (usual, last) = (TuneGroup::new("usual", |_| 1), TuneGroup::new("naive", |_| 0));
        let naive = Tunable::new("naive", |operands: Operands<R>| launch(&Strategy::Naive, operands));
        let set = TunableSet::new(key::<R>, inputs).with(naive.group(&last, |_| 0));
        strategies().into_iter().fold(set, |set, strategy| {
            let name = strategy.to_string();
            let tunable = Tunable::new(&name, move |operands: Operands<R>| launch(&strategy, operands));
            set.with(tunable.group(&usual, |_| 0))
        })
    });
    let (_, _, out) = &operands;
    let (id, client) = (CubeTuneId::new(&out.client, &out.device), out.client.clone());
    tuner.execute(&id, &client, tunables, operands);
}

fn launch<R: CubeRuntime>(strategy: &Strategy, (left, right, out): Operands<R>) -> Result<(), String> {
    let numbers = |tensor: &CubeTensor<R>| tensor.dtype.into();
    let elements = MatmulGlobalElems { lhs: numbers(&left), rhs: numbers(&right), out: numbers(&out) };
    let client = out.client.clone();
    let (of_left, of_right) = (numbers(&left), numbers(&right));
    launch_ref(
        strategy,
        &client,
        InputBinding::new(left.binding(), of_left),
        InputBinding::new(right.binding(), of_right),
        out.binding(),
        &mut MatmulElems::from_globals(&elements),
    )
    .map_err(|error| format!("{error:?}"))
}

fn key<R: CubeRuntime>((left, right, out): &Operands<R>) -> MatmulAutotuneKey {
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
