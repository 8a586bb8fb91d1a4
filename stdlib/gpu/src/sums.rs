//! Sums over places, channel by channel.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::reshape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::launch::threads;
use crate::maps::{Maps, empty, tight, vector};

/// Places that one thread adds up, at least; more where there are very many.
const CHUNK: usize = 64;
/// Chunks of one sum, at most.
const CHUNKS: usize = 1024;

/// What belongs to one sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The places of each image.
    Image,
    /// Those of all images.
    All,
}

/// What is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Term {
    /// `x`.
    Plain,
    /// `x * other`.
    Product,
}

#[cube(launch)]
fn sums_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    other: &Array<Vector<F, N>>,
    out: &mut Array<Vector<f32, N>>,
    rows: usize,
    lanes: usize,
    chunks: usize,
    chunk: usize,
    units: usize,
    #[comptime] term: Term,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= units {
        terminate!();
    }
    let lane = ABSOLUTE_POS % lanes;
    let at = ABSOLUTE_POS / lanes;
    let (group, first) = (at / chunks, at % chunks * chunk);
    let last = min(first + chunk, rows);
    let mut sum = Vector::<f32, N>::new(0.0);
    for row in first..last {
        let at = (group * rows + row) * lanes + lane;
        let value = Vector::<f32, N>::cast_from(x[at]);
        sum += match comptime![term] {
            Term::Plain => value,
            Term::Product => value * Vector::cast_from(other[at]),
        };
    }
    out[ABSOLUTE_POS] = sum;
}

#[cube(launch)]
fn scaled_kernel<F: Float, N: Size>(
    x: &Array<Vector<f32, N>>,
    out: &mut Array<Vector<F, N>>,
    factor: f32,
    vectors: usize,
    #[define(F)] _numbers: StorageType,
) {
    if ABSOLUTE_POS >= vectors {
        terminate!();
    }
    out[ABSOLUTE_POS] = Vector::cast_from(x[ABSOLUTE_POS] * Vector::new(factor));
}

/// Into how many chunks of how many rows so many rows are cut.
pub(crate) fn cut(rows: usize) -> (usize, usize) {
    let chunk = rows.div_ceil(CHUNKS).max(CHUNK);
    (rows.div_ceil(chunk).max(1), chunk)
}

/// The sums of `x`, or of its products with `other`: `[count or 1, channels, 1, 1]` in `f32`.
pub(crate) fn sums<R: CubeRuntime>(x: &Maps<R>, other: Option<&Maps<R>>, over: Over) -> CubeTensor<R> {
    let (groups, rows) = match over {
        Over::Image => (x.count, x.places()),
        Over::All => (1, x.count * x.places()),
    };
    let term = if other.is_some() { Term::Product } else { Term::Plain };
    let (chunks, chunk) = cut(rows);
    let part = empty(&x.tensor, [groups, chunks, x.channels], DType::F32);
    let units = groups * chunks * x.lanes();
    let (cubes, cube) = threads(&x.tensor, units);
    sums_kernel::launch::<R>(
        &part.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        other.unwrap_or(x).tensor.clone().into_array_arg(),
        part.clone().into_array_arg(),
        rows,
        x.lanes(),
        chunks,
        chunk,
        units,
        term,
        x.tensor.dtype.into(),
    );
    total(part, [groups, chunks, x.channels])
}

/// The sums over chunks `[groups, chunks, channels]`: `[groups, channels, 1, 1]`.
pub(crate) fn total<R: CubeRuntime>(parts: CubeTensor<R>, [groups, chunks, channels]: [usize; 3]) -> CubeTensor<R> {
    // Burn's products may lie in rows with gaps between them.
    let parts = tight(parts);
    if chunks == 1 {
        return reshape(parts, Shape::new([groups, channels, 1, 1]));
    }
    let tensor = tight(reshape(parts, Shape::new([groups, chunks, 1, channels])));
    sums(&Maps { tensor, count: groups, height: chunks, width: 1, channels }, None, Over::Image)
}

/// A number for each channel times `factor`, in numbers of that kind.
pub(crate) fn scaled<R: CubeRuntime>(x: CubeTensor<R>, factor: f32, numbers: DType) -> CubeTensor<R> {
    let shape: [usize; 4] = x.meta.shape().dims();
    let out = empty(&x, shape, numbers);
    let size = vector(shape[1]);
    let vectors = shape[0] * shape[1] / size;
    let (cubes, cube) = threads(&x, vectors);
    scaled_kernel::launch::<R>(
        &out.client,
        cubes,
        cube,
        size,
        x.into_array_arg(),
        out.clone().into_array_arg(),
        factor,
        vectors,
        numbers.into(),
    );
    out
}
