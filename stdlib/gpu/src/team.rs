//! Threads of one cube that add up rows together.
//!
//! Neighbouring threads have neighbouring lanes; the members of a team have one lane and take turns with its
//! rows. What they found is added pair by pair, always in the same order.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// Threads of a cube.
const THREADS: usize = 256;
/// Rows of a cube, at least; more where there are very many.
const ROWS: usize = 256;
/// Cubes that keep the largest GPUs busy.
const CUBES: usize = 2048;

/// How the threads of a cube share its lanes and rows: powers of two, their product being that of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Team {
    pub(crate) lanes: usize,
    pub(crate) members: usize,
}

impl Team {
    /// For so many rows.
    fn of(rows: usize) -> Self {
        let members = match rows {
            0..16 => 1,
            16..ROWS => 8,
            _ => 32,
        };
        Self { lanes: THREADS / members, members }
    }

    /// How often the sums of two halves are added.
    fn halvings(self) -> usize {
        self.members.ilog2() as usize
    }

    /// How far the threads are apart that are added then.
    fn apart(self, halving: usize) -> usize {
        THREADS >> (halving + 1)
    }
}

/// How rows are cut into chunks, a cube for each chunk of some lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) team: Team,
    /// Rows in all.
    pub(crate) rows: usize,
    /// Lanes of each.
    pub(crate) lanes: usize,
    /// Sums for each lane.
    pub(crate) groups: usize,
    pub(crate) chunks: usize,
    /// Rows of a chunk; the last may have fewer.
    pub(crate) chunk: usize,
}

impl Cut {
    /// So many sums over so many rows each.
    pub(crate) fn new(groups: usize, rows: usize, lanes: usize) -> Self {
        let whole = Self::whole(groups, rows, lanes);
        let most = rows.div_ceil(ROWS).max(1);
        let chunks = CUBES.div_ceil((groups * whole.blocks()).max(1)).min(most);
        let chunk = rows.div_ceil(chunks).max(1);
        Self { chunks: rows.div_ceil(chunk).max(1), chunk, ..whole }
    }

    /// All in one chunk.
    pub(crate) fn whole(groups: usize, rows: usize, lanes: usize) -> Self {
        Self { team: Team::of(rows), rows, lanes, groups, chunks: 1, chunk: rows }
    }

    fn blocks(&self) -> usize {
        self.lanes.div_ceil(self.team.lanes)
    }

    /// The threads of a kernel.
    pub(crate) fn threads<R: CubeRuntime>(&self, on: &CubeTensor<R>) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new_1d(THREADS as u32);
        let cubes = self.groups * self.chunks * self.blocks();
        (calculate_cube_count_elemwise(&on.client, cubes * THREADS, dim), dim)
    }
}

/// What a thread of a team has to do.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Share {
    /// The chunk, those of all groups counted through.
    pub(crate) chunk: usize,
    pub(crate) lane: usize,
    /// The first of its rows, and the one behind its last. The others are as many further as it has members.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// The first row of its chunk.
    pub(crate) start: usize,
    /// Whether it writes what the team found.
    pub(crate) is_writer: bool,
}

/// The share of this thread; one that has nothing to do has no rows.
#[cube]
pub(crate) fn share(
    rows: usize,
    lanes: usize,
    groups: usize,
    chunks: usize,
    chunk: usize,
    #[comptime] team: Team,
) -> Share {
    let blocks = lanes.div_ceil(comptime![team.lanes]);
    let (unit, cube) = (usize::cast_from(UNIT_POS), CUBE_POS);
    let (block, at) = (cube % blocks, cube / blocks);
    let lane = block * comptime![team.lanes] + unit % comptime![team.lanes];
    let member = unit / comptime![team.lanes];
    let start = at % chunks * chunk;
    let is_there = lane < lanes && at < groups * chunks;
    let last = select(is_there, min(start + chunk, rows), 0);
    Share { chunk: at, lane, first: start + member, last, start, is_writer: is_there && member == 0 }
}

/// The sum of what the members of a team have, given to all of them.
#[cube]
pub(crate) fn together<N: Size>(value: Vector<f32, N>, #[comptime] team: Team) -> Vector<f32, N> {
    let mut shared = SharedMemory::<Vector<f32, N>>::new(THREADS);
    let unit = usize::cast_from(UNIT_POS);
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 0..comptime![team.halvings()] {
        let apart = comptime![team.apart(halving)];
        if unit < apart {
            shared[unit] = shared[unit] + shared[unit + apart];
        }
        sync_cube();
    }
    shared[unit % comptime![team.lanes]]
}
