//! Sums over places, channel by channel.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::reshape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::maps::{Maps, empty, tight};
use crate::team::{Cut, Team, share, together};

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
fn sums_kernel<F: Float, G: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    other: &Array<Vector<F, N>>,
    out: &mut Array<Vector<G, N>>,
    rows: usize,
    lanes: usize,
    groups: usize,
    chunks: usize,
    chunk: usize,
    factor: f32,
    #[comptime] team: Team,
    #[comptime] term: Term,
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_out: StorageType,
) {
    let share = share(rows, lanes, groups, chunks, chunk, team);
    let before = share.chunk / chunks * rows;
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut row = share.first;
    while row < share.last {
        let at = (before + row) * lanes + share.lane;
        let value = Vector::<f32, N>::cast_from(x.read_unchecked(at));
        sum += match comptime![term] {
            Term::Plain => value,
            Term::Product => value * Vector::cast_from(other.read_unchecked(at)),
        };
        row += comptime![team.members];
    }
    let sum = together::<N>(sum, team);
    if share.is_writer {
        out[share.chunk * lanes + share.lane] = Vector::cast_from(sum * Vector::new(factor));
    }
}

/// The sums of `x`, or of its products with `other`, times `factor`: `[count or 1, channels, 1, 1]` in such
/// numbers.
pub(crate) fn sums<R: CubeRuntime>(
    x: &Maps<R>,
    other: Option<&Maps<R>>,
    over: Over,
    factor: f32,
    numbers: DType,
) -> CubeTensor<R> {
    let (groups, rows) = match over {
        Over::Image => (x.count, x.places()),
        Over::All => (1, x.count * x.places()),
    };
    let cut = Cut::new(groups, rows, x.lanes());
    if cut.chunks == 1 {
        let out = empty(&x.tensor, [groups, x.channels, 1, 1], numbers);
        add_up(x, other, cut, factor, &out);
        return out;
    }
    total(parts(x, other, cut), [groups, cut.chunks, x.channels], factor, numbers)
}

/// The sums over the chunks of each image, `[count, chunks, channels]` in `f32`, and how many chunks there are.
pub(crate) fn sums_of_chunks<R: CubeRuntime>(x: &Maps<R>) -> (CubeTensor<R>, usize) {
    let cut = Cut::new(x.count, x.places(), x.lanes());
    (parts(x, None, cut), cut.chunks)
}

fn parts<R: CubeRuntime>(x: &Maps<R>, other: Option<&Maps<R>>, cut: Cut) -> CubeTensor<R> {
    let out = empty(&x.tensor, [cut.groups, cut.chunks, x.channels], DType::F32);
    add_up(x, other, cut, 1.0, &out);
    out
}

/// The sums over chunks `[groups, chunks, channels]` times `factor`: `[groups, channels, 1, 1]` in such numbers.
pub(crate) fn total<R: CubeRuntime>(
    parts: CubeTensor<R>,
    [groups, chunks, channels]: [usize; 3],
    factor: f32,
    numbers: DType,
) -> CubeTensor<R> {
    // Burn's products may lie in rows with gaps between them.
    let tensor = tight(reshape(tight(parts), Shape::new([groups, chunks, 1, channels])));
    sums(&Maps { tensor, count: groups, height: chunks, width: 1, channels }, None, Over::Image, factor, numbers)
}

fn add_up<R: CubeRuntime>(x: &Maps<R>, other: Option<&Maps<R>>, cut: Cut, factor: f32, out: &CubeTensor<R>) {
    let (cubes, cube) = cut.threads(&x.tensor);
    sums_kernel::launch::<R>(
        &out.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        other.unwrap_or(x).tensor.clone().into_array_arg(),
        out.clone().into_array_arg(),
        cut.rows,
        cut.lanes,
        cut.groups,
        cut.chunks,
        cut.chunk,
        factor,
        cut.team,
        if other.is_some() { Term::Product } else { Term::Plain },
        x.tensor.dtype.into(),
        out.dtype.into(),
    );
}
