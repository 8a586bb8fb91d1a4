//! The kernels as safe functions over a view of the memory: all that they touch is checked there.

use pipe_network::Activation;

use super::depthwise::{self, LARGEST};
use super::gemm::{self, Epilogue, Tap};
use super::memory::View;
use super::{Kernels, LANES, reduce};

/// The numbers of the input that one output is made of.
#[derive(Debug, Clone)]
pub(crate) struct Taps {
    taps: Vec<Tap>,
    /// One behind the last number of all taps.
    reach: usize,
    count: usize,
}

impl Taps {
    pub(crate) fn new(taps: Vec<Tap>) -> Self {
        let reach = taps.iter().map(|tap| (tap.at + tap.count) as usize).max().unwrap_or_default();
        let count = taps.iter().map(|tap| tap.count as usize).sum();
        Self { taps, reach, count }
    }

    /// Numbers of all taps.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

/// Where weights lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Slice(&'a [f32]),
    /// In the memory, from there on.
    Memory(usize),
}

/// Where pixels lie in a map: rows of `row` numbers, blocks of channels of `plane` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) at: usize,
    pub(crate) row: usize,
    pub(crate) plane: usize,
}

/// One panel of a matrix product.
#[derive(Debug)]
pub(crate) struct Product<'a> {
    pub(crate) x: usize,
    pub(crate) step: usize,
    pub(crate) taps: &'a Taps,
    pub(crate) weights: Source<'a>,
    pub(crate) bias: &'a [f32],
    pub(crate) vectors: usize,
    pub(crate) pixels: usize,
    pub(crate) width: usize,
    pub(crate) out: Grid,
    pub(crate) residual: Option<Grid>,
    pub(crate) epilogue: Epilogue,
}

/// One row of a depthwise convolution, of one block.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Where the rows of the input begin, the first place of the kernel on; `first..last` are read.
    pub(crate) rows: [usize; LARGEST],
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) weights: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) out: usize,
    pub(crate) width: usize,
    pub(crate) pool: Option<usize>,
    pub(crate) activation: Activation,
}

/// The dense layers of squeeze-excite.
#[derive(Debug)]
pub(crate) struct Excite<'a> {
    pub(crate) blocks: usize,
    pub(crate) squeezed: usize,
    pub(crate) activation: Activation,
    pub(crate) gate: Activation,
    pub(crate) pool: usize,
    pub(crate) pixels: usize,
    pub(crate) squeeze: &'a [f32],
    pub(crate) squeeze_bias: &'a [f32],
    pub(crate) excite: &'a [f32],
    pub(crate) excite_bias: &'a [f32],
    pub(crate) between: usize,
    pub(crate) out: usize,
}

/// One row of one block of a max-pool.
#[derive(Debug)]
pub(crate) struct MaxPool {
    pub(crate) map: usize,
    pub(crate) row: usize,
    pub(crate) width: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) out: usize,
    pub(crate) out_width: usize,
}

impl View<'_> {
    /// Numbers from the first place of a row to behind the last of `pixels`.
    fn extent(grid: Grid, width: usize, pixels: usize) -> usize {
        assert!(grid.row >= width * LANES && width > 0 && pixels > 0);
        let last = pixels - 1;
        last / width * grid.row + last % width * LANES + LANES
    }

    /// Where the pixels of several vectors lie, to be read.
    fn grid(&self, grid: Grid, width: usize, pixels: usize, vectors: usize) -> *const f32 {
        let numbers = Self::extent(grid, width, pixels);
        for vector in 1..vectors {
            self.part(grid.at + vector * grid.plane, numbers);
        }
        self.part(grid.at, numbers)
    }

    /// Likewise, to be written.
    fn grid_mut(&mut self, grid: Grid, width: usize, pixels: usize, vectors: usize) -> *mut f32 {
        let numbers = Self::extent(grid, width, pixels);
        for vector in 1..vectors {
            self.part_mut(grid.at + vector * grid.plane, numbers);
        }
        self.part_mut(grid.at, numbers)
    }

    pub(crate) fn product(&mut self, kernels: &Kernels, job: &Product<'_>) {
        assert!((1..=kernels.panel).contains(&job.vectors) && job.pixels > 0);
        let x = self.part(job.x, (job.pixels - 1) * job.step + job.taps.reach);
        let count = job.taps.count * job.vectors * LANES;
        let weights = match job.weights {
            Source::Slice(weights) => weights[..count].as_ptr(),
            Source::Memory(at) => self.part(at, count),
        };
        let out = self.grid_mut(job.out, job.width, job.pixels, job.vectors);
        let residual = job.residual.map(|residual| (residual, self.grid(residual, job.width, job.pixels, job.vectors)));
        // Rows without gaps are one long row.
        let is_flat = |row: usize| row == job.width * LANES;
        let is_flat = is_flat(job.out.row) && job.residual.is_none_or(|residual| is_flat(residual.row));
        let rows = if is_flat { job.pixels.div_ceil(job.width) } else { 1 };
        let product = gemm::Product {
            x,
            step: job.step,
            taps: &job.taps.taps,
            weights,
            bias: job.bias[..job.vectors * LANES].as_ptr(),
            vectors: job.vectors,
            pixels: job.pixels,
            width: rows * job.width,
            out: gemm::Grid { at: out, row: rows * job.out.row, plane: job.out.plane },
            residual: residual.map(|(grid, at)| gemm::Grid { at, row: rows * grid.row, plane: grid.plane }),
            epilogue: job.epilogue,
        };
        // Sound: all that is read and written lies inside, as was just checked, and the processor has
        // these instructions.
        unsafe { (kernels.product)(&product) }
    }

    pub(crate) fn depthwise(&mut self, kernels: &Kernels, job: &Row<'_>) {
        assert!(depthwise::is_known(job.kernel, job.stride) && job.last <= job.kernel && job.width > 0);
        let numbers = ((job.width - 1) * job.stride + job.kernel) * LANES;
        let mut rows = [std::ptr::null(); LARGEST];
        for (row, at) in rows.iter_mut().zip(job.rows).take(job.last).skip(job.first) {
            *row = self.part(at, numbers);
        }
        let row = depthwise::Row {
            kernel: job.kernel,
            stride: job.stride,
            rows,
            first: job.first,
            last: job.last,
            weights: job.weights[..job.kernel * job.kernel * LANES].as_ptr(),
            bias: job.bias[..LANES].as_ptr(),
            out: self.part_mut(job.out, job.width * LANES),
            width: job.width,
            pool: job.pool.map_or(std::ptr::null_mut(), |pool| self.part_mut(pool, LANES)),
            activation: job.activation,
        };
        // Sound: as in `product`.
        unsafe { (kernels.depthwise)(&row) }
    }

    /// The sums that [`View::depthwise`] would have made of a block's rows, to `out`.
    pub(crate) fn sum(&mut self, kernels: &Kernels, map: Grid, (height, width): (usize, usize), out: usize) {
        let from = self.grid(map, width, height * width, 1);
        let to = self.part_mut(out, LANES);
        // Sound: as in `product`.
        unsafe { (kernels.sum)(from, map.row, height, width, to) }
    }

    pub(crate) fn excite(&mut self, kernels: &Kernels, job: &Excite<'_>) {
        let channels = job.blocks * LANES;
        let job = reduce::Excite {
            blocks: job.blocks,
            squeezed: job.squeezed,
            activation: job.activation,
            gate: job.gate,
            pool: self.part(job.pool, channels),
            share: 1.0 / job.pixels as f32,
            squeeze: job.squeeze[..job.squeezed * channels].as_ptr(),
            squeeze_bias: job.squeeze_bias[..job.squeezed].as_ptr(),
            excite: job.excite[..job.squeezed * channels].as_ptr(),
            excite_bias: job.excite_bias[..channels].as_ptr(),
            between: self.part_mut(job.between, job.squeezed.next_multiple_of(LANES)),
            out: self.part_mut(job.out, channels),
        };
        // Sound: as in `product`.
        unsafe { (kernels.excite)(&job) }
    }

    /// `map[block][pixel] *= factors[block]`, for a map without gaps.
    pub(crate) fn scale_map(&mut self, kernels: &Kernels, map: usize, pixels: usize, blocks: usize, factors: usize) {
        let map = self.part_mut(map, pixels * blocks * LANES);
        let factors = self.part(factors, blocks * LANES);
        // Sound: as in `product`.
        unsafe { (kernels.scale_map)(map, pixels, blocks, factors) }
    }

    /// Panels of weights for `inputs` channels, each times its factor, to `out`.
    pub(crate) fn scale_weights(
        &mut self,
        kernels: &Kernels,
        weights: &[f32],
        inputs: usize,
        blocks: usize,
        factors: usize,
        out: usize,
    ) {
        let count = inputs * blocks * LANES;
        let factors = self.part(factors, inputs);
        let out = self.part_mut(out, count);
        // Sound: as in `product`.
        unsafe { (kernels.scale_weights)(weights[..count].as_ptr(), inputs, blocks, factors, out) }
    }

    /// The mean of the pixels of each block of a map, to `out`.
    pub(crate) fn mean(
        &mut self,
        kernels: &Kernels,
        map: Grid,
        (height, width): (usize, usize),
        blocks: usize,
        out: usize,
    ) {
        let from = self.grid(map, width, height * width, blocks);
        let to = self.part_mut(out, blocks * LANES);
        // Sound: as in `product`.
        unsafe { (kernels.mean)(from, width, height, map.row, map.plane, blocks, to) }
    }

    pub(crate) fn max_pool(&mut self, kernels: &Kernels, job: &MaxPool) {
        assert!(job.first < job.last && job.width > 0 && job.out_width > 0 && job.padding < job.kernel);
        let pool = reduce::Pool {
            map: self.part(job.map, (job.last - 1) * job.row + job.width * LANES),
            row: job.row,
            width: job.width,
            first: job.first,
            last: job.last,
            kernel: job.kernel,
            stride: job.stride,
            padding: job.padding,
            out: self.part_mut(job.out, job.out_width * LANES),
            out_width: job.out_width,
        };
        // Sound: as in `product`; columns are kept inside `width`.
        unsafe { (kernels.max_pool)(&pool) }
    }

    /// Layer normalisation of the pixel at `x`, whose blocks lie `x_plane` apart, to `out`.
    pub(crate) fn layer_norm(
        &mut self,
        kernels: &Kernels,
        (x, x_plane): (usize, usize),
        (out, out_plane): (usize, usize),
        epsilon: f32,
        weight: &[f32],
        bias: &[f32],
    ) {
        let blocks = weight.len() / LANES;
        assert!(blocks > 0);
        let pixel = |at, plane| Grid { at, row: LANES, plane };
        let job = reduce::LayerNorm {
            x: self.grid(pixel(x, x_plane), 1, 1, blocks),
            x_plane,
            out: self.grid_mut(pixel(out, out_plane), 1, 1, blocks),
            out_plane,
            blocks,
            epsilon,
            weight: weight.as_ptr(),
            bias: bias[..blocks * LANES].as_ptr(),
        };
        // Sound: as in `product`.
        unsafe { (kernels.layer_norm)(&job) }
    }

    /// Softmax over the first `count` numbers of a pixel's blocks, which lie `plane` apart.
    pub(crate) fn softmax(&mut self, kernels: &Kernels, x: usize, plane: usize, count: usize) {
        assert!(count > 0);
        let x = self.grid_mut(Grid { at: x, row: LANES, plane }, 1, 1, count.div_ceil(LANES));
        // Sound: as in `product`.
        unsafe { (kernels.softmax)(x, plane, count) }
    }

    /// `x + y` of `vectors` vectors, to `out`.
    pub(crate) fn add(&mut self, kernels: &Kernels, x: usize, y: &[f32], out: usize, vectors: usize) {
        let numbers = vectors * LANES;
        let from = self.part(x, numbers);
        let to = self.part_mut(out, numbers);
        // Sound: as in `product`.
        unsafe { (kernels.add)(from, y[..numbers].as_ptr(), to, vectors) }
    }
}
