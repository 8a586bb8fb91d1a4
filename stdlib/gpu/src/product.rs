//! Products of matrices.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::CubeTuneId;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubecl::tune::{LocalTuner, Tunable, TunableSet, TuneGroup, local_tuner};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::{MatmulAutotuneKey, Strategy, launch_ref};
use cubek::matmul::routines::double_unit::DoubleUnitSelectionArgs;
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
    // Half of the bits lose nothing: tensor cores multiply them as they are and add in `f32`.
    let done = match products {
        Products::Plain => plain(left, right, numbers),
        Products::Exact if left.dtype == DType::F32 => Ok(exact(left, right)),
        _ => matmul(left, right, None, MatmulStrategy::default(), numbers).map_err(|error| format!("{error:?}")),
    };
    match done {
        Ok(product) => product,
        // The simplest kernel takes all shapes, and all are tried.
        Err(error) => unreachable!("no kernel multiplies these matrices: {error}"),
    }
}

fn plain<R: CubeRuntime>(left: CubeTensor<R>, right: CubeTensor<R>, numbers: DType) -> Result<CubeTensor<R>, String> {
    let out = empty(&left, sizes(&left, &right), numbers);
    launch(&Strategy::Naive, (left, right, out.clone())).map(|()| out)
}

/// A product of `f32` by those kernels that leave tensor cores alone, the fastest of them.
fn exact<R: CubeRuntime>(left: CubeTensor<R>, right: CubeTensor<R>) -> CubeTensor<R> {
    static TUNER: LocalTuner<MatmulAutotuneKey, CubeTuneId> = local_tuner!();
    let out = empty(&left, sizes(&left, &right), DType::F32);
    let tunables = TUNER.init(|| {
        let inputs = |_: &MatmulAutotuneKey, (left, right, out): &Operands<R>| -> Operands<R> {
            (left.clone(), right.clone(), out.copy())
        };
        // The first takes all shapes, and is what is fallen back to.
        let (usual, last) = (TuneGroup::new("unit", |_| 1), TuneGroup::new("naive", |_| 0));
        let naive = Tunable::new("naive", |operands: Operands<R>| launch(&Strategy::Naive, operands));
        let set = TunableSet::new(key::<R>, inputs).with(naive.group(&last, |_| 0));
        let simple = |tile_size| BlueprintStrategy::Inferred(SimpleUnitSelectionArgs { tile_size });
        let double = |tile_size| BlueprintStrategy::Inferred(DoubleUnitSelectionArgs { tile_size });
        let all = [
            Strategy::SimpleUnit(simple(TileSizeSelection::MaxTileSize)),
            Strategy::SimpleUnit(simple(TileSizeSelection::MinTileSize)),
            Strategy::DoubleUnit(double(TileSizeSelection::MaxTileSize)),
        ];
        all.into_iter().fold(set, |set, strategy| {
            let name = strategy.to_string();
            let tunable = Tunable::new(&name, move |operands: Operands<R>| launch(&strategy, operands));
            set.with(tunable.group(&usual, |_| 0))
        })
    });
    let (id, client) = (CubeTuneId::new(&left.client, &left.device), left.client.clone());
    TUNER.execute(&id, &client, tunables, (left, right, out.clone()));
    out
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
