//! Mean and variance of channels.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::maps::{Maps, empty};
use crate::team::{Cut, Team, share, together};

/// Of each chunk of rows the mean, and the sum of the squares of what is off it. Numbers are taken from the
/// chunk's first row on, so that no large squares are taken from each other.
#[cube(launch)]
fn moments_kernel<F: Float, N: Size>(
    x: &Array<Vector<F, N>>,
    means: &mut Array<Vector<f32, N>>,
    squares: &mut Array<Vector<f32, N>>,
    rows: usize,
    lanes: usize,
    chunks: usize,
    chunk: usize,
    #[comptime] team: Team,
    #[define(F)] _numbers: StorageType,
) {
    let share = share(rows, lanes, 1, chunks, chunk, team);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut square = Vector::<f32, N>::new(0.0);
    let mut shift = Vector::<f32, N>::new(0.0);
    if share.start < share.last {
        shift = Vector::<f32, N>::cast_from(x.read_unchecked(share.start * lanes + share.lane));
    }
    let mut row = share.first;
    while row < share.last {
        let off = Vector::<f32, N>::cast_from(x.read_unchecked(row * lanes + share.lane)) - shift;
        sum += off;
        square += off * off;
        row += comptime![team.members];
    }
    let sum = together::<N>(sum, team);
    let square = together::<N>(square, team);
    if share.is_writer {
        let values = Vector::<f32, N>::new(f32::cast_from(share.last - share.start));
        let off = sum / values;
        let at = share.chunk * lanes + share.lane;
        means[at] = shift + off;
        squares[at] = square - off * sum;
    }
}

/// Mean and variance of all rows, from those of chunks (Chan, Golub and LeVeque 1979).
#[cube(launch)]
fn all_moments_kernel<N: Size>(
    means: &Array<Vector<f32, N>>,
    squares: &Array<Vector<f32, N>>,
    mean_out: &mut Array<Vector<f32, N>>,
    variance_out: &mut Array<Vector<f32, N>>,
    chunks: usize,
    lanes: usize,
    values: usize,
    chunk: usize,
    #[comptime] team: Team,
) {
    let share = share(chunks, lanes, 1, 1, chunks, team);
    let all = Vector::<f32, N>::new(f32::cast_from(values));
    let mut first = Vector::<f32, N>::new(0.0);
    if share.start < share.last {
        first = means[share.lane];
    }
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut at = share.first;
    while at < share.last {
        let of_chunk = f32::cast_from(min(chunk, values - at * chunk));
        sum += (means[at * lanes + share.lane] - first) * Vector::new(of_chunk);
        at += comptime![team.members];
    }
    let mean = first + together::<N>(sum, team) / all;
    let mut square = Vector::<f32, N>::new(0.0);
    let mut at = share.first;
    while at < share.last {
        let of_chunk = f32::cast_from(min(chunk, values - at * chunk));
        let off = means[at * lanes + share.lane] - mean;
        square += squares[at * lanes + share.lane] + off * off * Vector::new(of_chunk);
        at += comptime![team.members];
    }
    let variance = together::<N>(square, team) / all;
    if share.is_writer {
        mean_out[share.lane] = mean;
        variance_out[share.lane] = variance;
    }
}

/// Mean and variance of each channel, `[1, channels, 1, 1]` in `f32`.
pub fn moments<R: CubeRuntime>(x: CubeTensor<R>) -> (CubeTensor<R>, CubeTensor<R>) {
    let x = Maps::of(x);
    let cut = Cut::new(1, x.count * x.places(), x.lanes());
    let [means, squares] = [(); 2].map(|()| empty(&x.tensor, [cut.chunks, x.channels], DType::F32));
    let (cubes, cube) = cut.threads(&x.tensor);
    moments_kernel::launch::<R>(
        &x.tensor.client,
        cubes,
        cube,
        x.vector(),
        x.tensor.clone().into_array_arg(),
        means.clone().into_array_arg(),
        squares.clone().into_array_arg(),
        cut.rows,
        cut.lanes,
        cut.chunks,
        cut.chunk,
        cut.team,
        x.tensor.dtype.into(),
    );
    let all = Cut::whole(1, cut.chunks, cut.lanes);
    let [mean, variance] = [(); 2].map(|()| empty(&x.tensor, [1, x.channels, 1, 1], DType::F32));
    let (cubes, cube) = all.threads(&x.tensor);
    all_moments_kernel::launch::<R>(
        &x.tensor.client,
        cubes,
        cube,
        x.vector(),
        means.into_array_arg(),
        squares.into_array_arg(),
        mean.clone().into_array_arg(),
        variance.clone().into_array_arg(),
        all.rows,
        all.lanes,
        cut.rows,
        cut.chunk,
        all.team,
    );
    (mean, variance)
}
