//! How many threads a kernel gets.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::{CubeCount, CubeDim};

/// A thread for each of so many units; those beyond them have to stop by themselves.
pub(crate) fn threads<R: CubeRuntime>(on: &CubeTensor<R>, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(&on.client, units);
    (calculate_cube_count_elemwise(&on.client, units, dim), dim)
}
