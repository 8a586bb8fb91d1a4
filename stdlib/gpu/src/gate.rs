//! The weights of squeeze-and-excitation in one kernel behind the sums that they come from: its dense layers are
//! far too small for a product of matrices to keep a GPU busy.

use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use pipe_network::Activation;

use crate::function::activate;
use crate::maps::{Maps, empty, outputs_last, tight};
use crate::sums::sums_of_chunks;

/// Threads of a cube, which has an image.
const THREADS: usize = 256;
/// Threads that add up a number between the layers together.
const MEMBERS: usize = 32;
/// Their sums lie that far apart, so that threads that go along them read from other banks.
const APART: usize = MEMBERS + 1;

/// A dense layer.
#[derive(Debug, Clone)]
pub struct Dense<R: CubeRuntime> {
    /// `[outputs, inputs, 1, 1]`.
    pub weight: CubeTensor<R>,
    /// `[1, outputs, 1, 1]`.
    pub bias: CubeTensor<R>,
    /// Behind the sum.
    pub activation: Activation,
}

/// What the threads of a cube share: room for as much or more, so that one kernel serves several sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Room {
    lanes: usize,
    between: usize,
}

impl Room {
    fn new(lanes: usize, between: usize) -> Self {
        Self { lanes: lanes.next_power_of_two(), between: between.next_power_of_two() }
    }

    /// Bytes of it.
    fn size(self, vector: usize) -> usize {
        size_of::<f32>() * (self.lanes * vector + self.between * APART + self.between * vector)
    }
}

#[cube(launch)]
fn gate_kernel<F: Float, G: Float, N: Size>(
    sums: &Array<Vector<f32, N>>,
    squeeze: &Array<Vector<F, N>>,
    squeeze_bias: &Array<G>,
    excite: &Array<Vector<F, N>>,
    excite_bias: &Array<Vector<G, N>>,
    out: &mut Array<Vector<F, N>>,
    chunks: usize,
    lanes: usize,
    between: usize,
    factor: f32,
    #[comptime] room: Room,
    #[comptime] activations: [Activation; 2],
    #[define(F)] _numbers: StorageType,
    #[define(G)] _of_bias: StorageType,
) {
    let mut means = SharedMemory::<Vector<f32, N>>::new(comptime![room.lanes]);
    let mut shares = SharedMemory::<f32>::new(comptime![room.between * APART]);
    let mut squeezed = SharedMemory::<Vector<f32, N>>::new(comptime![room.between]);
    let (unit, image) = (usize::cast_from(UNIT_POS), CUBE_POS);

    let mut lane = unit;
    while lane < lanes {
        let mut sum = Vector::<f32, N>::new(0.0);
        for chunk in 0..chunks {
            sum += sums.read_unchecked((image * chunks + chunk) * lanes + lane);
        }
        means[lane] = sum * Vector::new(factor);
        lane += THREADS;
    }
    sync_cube();

    let member = unit % MEMBERS;
    let mut row = unit / MEMBERS;
    while row < between {
        let mut sum = Vector::<f32, N>::new(0.0);
        let mut lane = member;
        while lane < lanes {
            sum += means[lane] * Vector::cast_from(squeeze.read_unchecked(row * lanes + lane));
            lane += MEMBERS;
        }
        shares[row * APART + member] = f32::cast_from(sum.vector_sum());
        row += THREADS / MEMBERS;
    }
    sync_cube();

    let mut row = unit;
    while row < between {
        let mut sum = f32::cast_from(squeeze_bias.read_unchecked(row));
        for member in 0..MEMBERS {
            sum += shares[row * APART + member];
        }
        squeezed[row] = activate::<N>(Vector::new(sum), comptime![activations[0]]);
        row += THREADS;
    }
    sync_cube();

    let mut lane = unit;
    while lane < lanes {
        let mut sum = Vector::<f32, N>::cast_from(excite_bias.read_unchecked(lane));
        for row in 0..between {
            sum += squeezed[row] * Vector::cast_from(excite.read_unchecked(row * lanes + lane));
        }
        out[image * lanes + lane] = Vector::cast_from(activate::<N>(sum, comptime![activations[1]]));
        lane += THREADS;
    }
}

/// What two dense layers make of the mean over height and width, `[count, channels, 1, 1]`; nothing where they have more
/// numbers than the threads of a cube can share.
pub fn gate<R: CubeRuntime>(x: CubeTensor<R>, [squeeze, excite]: [Dense<R>; 2]) -> Option<CubeTensor<R>> {
    let [between, ..]: [usize; 4] = squeeze.weight.meta.shape().dims();
    let maps = Maps::of(x);
    let (vector, room) = (maps.vector(), Room::new(maps.lanes(), between));
    if room.size(vector) > maps.tensor.client.properties().hardware.max_shared_memory_size {
        return None;
    }
    let (sums, chunks) = sums_of_chunks(&maps);
    let (numbers, of_bias) = (maps.tensor.dtype, squeeze.bias.dtype);
    let out = empty(&maps.tensor, [maps.count, maps.channels, 1, 1], numbers);
    gate_kernel::launch::<R>(
        &out.client,
        CubeCount::Static(maps.count as u32, 1, 1),
        CubeDim::new_1d(THREADS as u32),
        vector,
        sums.into_array_arg(),
        tight(cast(squeeze.weight, numbers)).into_array_arg(),
        tight(squeeze.bias).into_array_arg(),
        outputs_last(cast(excite.weight, numbers)).into_array_arg(),
        tight(cast(excite.bias, of_bias)).into_array_arg(),
        out.clone().into_array_arg(),
        chunks,
        maps.lanes(),
        between,
        1.0 / maps.places() as f32,
        room,
        [squeeze.activation, excite.activation],
        numbers.into(),
        of_bias.into(),
    );
    Some(out)
}
