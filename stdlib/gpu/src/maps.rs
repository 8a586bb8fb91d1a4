//! Maps as kernels see them.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::ops::{permute, permute_nchw_to_nhwc, permute_nhwc_to_nchw, reshape};
use burn_cubecl::tensor::CubeTensor;

/// Parts of a flat tensor begin at multiples of so many numbers. No GPU wants memory to begin at multiples of more than
/// 512 bytes, and numbers have two or four.
pub const ALIGNMENT: usize = 256;

/// Maps `[count, height, width, channels]`, one number behind the other.
pub(crate) struct Maps<R: CubeRuntime> {
    pub(crate) tensor: CubeTensor<R>,
    pub(crate) count: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl<R: CubeRuntime> Maps<R> {
    /// Of `[count, channels, height, width]`, laid out anew only where they lie otherwise.
    pub(crate) fn of(tensor: CubeTensor<R>) -> Self {
        let tensor = tight(permute_nchw_to_nhwc(tensor));
        let [count, height, width, channels] = tensor.meta.shape().dims();
        Self { tensor, count, height, width, channels }
    }

    /// Numbers to be written, on the device of `beside`.
    pub(crate) fn empty(beside: &CubeTensor<R>, dims: [usize; 4]) -> Self {
        Self::empty_of(beside, dims, beside.dtype)
    }

    /// Likewise, in numbers of that kind.
    pub(crate) fn empty_of(
        beside: &CubeTensor<R>,
        [count, height, width, channels]: [usize; 4],
        numbers: DType,
    ) -> Self {
        let tensor = empty(beside, [count, height, width, channels], numbers);
        Self { tensor, count, height, width, channels }
    }

    pub(crate) fn like(&self) -> Self {
        Self::empty(&self.tensor, [self.count, self.height, self.width, self.channels])
    }

    /// Numbers that lie together as one vector: a power of two up to 4 that divides the channels.
    pub(crate) fn vector(&self) -> usize {
        vector(self.channels)
    }

    /// Vectors of one place.
    pub(crate) fn lanes(&self) -> usize {
        self.channels / self.vector()
    }

    /// Places of one image.
    pub(crate) fn places(&self) -> usize {
        self.height * self.width
    }

    /// Vectors in all.
    pub(crate) fn vectors(&self) -> usize {
        self.count * self.places() * self.lanes()
    }

    /// As a matrix, a row for each place: `[1, count * height * width, channels]`.
    pub(crate) fn rows(self) -> CubeTensor<R> {
        let rows = self.count * self.places();
        reshape(self.tensor, Shape::new([1, rows, self.channels]))
    }

    /// As `[count, channels, height, width]`.
    pub(crate) fn into_tensor(self) -> CubeTensor<R> {
        permute_nhwc_to_nchw(self.tensor)
    }
}

/// How many of so many numbers side by side a thread takes at once.
pub(crate) fn vector(numbers: usize) -> usize {
    [4, 2].into_iter().find(|size| numbers.is_multiple_of(*size)).unwrap_or(1)
}

/// Numbers to be written, one behind the other, on the device of `beside`.
pub(crate) fn empty<R: CubeRuntime, const D: usize>(
    beside: &CubeTensor<R>,
    shape: [usize; D],
    dtype: DType,
) -> CubeTensor<R> {
    empty_device_contiguous_dtype(beside.client.clone(), beside.device.clone(), Shape::new(shape), dtype)
}

/// A number for each channel, in `f32`.
pub(crate) fn exact<R: CubeRuntime>(tensor: CubeTensor<R>) -> CubeTensor<R> {
    tight(cast(tensor, DType::F32))
}

/// The numbers of maps `[count, channels, height, width]` that have the same at all places: `[count, channels, 1, 1]`.
pub(crate) fn same_at_all_places<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Option<CubeTensor<R>> {
    let [count, channels, height, width]: [usize; 4] = tensor.meta.shape().dims();
    let mut sides = [height, width].into_iter().zip(&tensor.meta.strides()[2..]);
    if height * width == 1 || !sides.all(|(length, stride)| length == 1 || *stride == 0) {
        return None;
    }
    let mut tensor = tensor.clone();
    *tensor.meta.shape_mut() = Shape::new([count, channels, 1, 1]);
    Some(tight(tensor))
}

/// Numbers of a flat tensor from `start` on, as such a shape. They are not copied: `start` has to be a multiple of
/// [`ALIGNMENT`].
pub fn part<R: CubeRuntime>(flat: &CubeTensor<R>, start: usize, shape: [usize; 4]) -> CubeTensor<R> {
    debug_assert!(start.is_multiple_of(ALIGNMENT));
    let all = flat.meta.num_elements();
    let end = (start + shape.iter().product::<usize>()).next_multiple_of(ALIGNMENT).min(all);
    let bytes = |numbers: usize| (numbers * flat.dtype.size()) as u64;
    let mut part = reshape(flat.clone(), Shape::new([1, 1, 1, all]));
    part.handle = part.handle.offset_start(bytes(start)).offset_end(bytes(all - end));
    *part.meta.shape_mut() = Shape::new(shape);
    stride_tightly(&mut part);
    part
}

/// A weight `[outputs, inputs, height, width]` as `[height, width, inputs, outputs]`.
pub(crate) fn outputs_last<R: CubeRuntime>(weight: CubeTensor<R>) -> CubeTensor<R> {
    tight(permute(weight, &[2, 3, 1, 0]))
}

/// The same numbers, one behind the other.
pub(crate) fn tight<R: CubeRuntime>(mut tensor: CubeTensor<R>) -> CubeTensor<R> {
    let (shape, strides) = (tensor.meta.shape().clone(), tensor.meta.strides().clone());
    let mut expected = 1;
    let mut is_tight = true;
    for (&length, &stride) in shape.iter().zip(strides.iter()).rev() {
        // Where a side has one place its stride means nothing.
        is_tight &= length == 1 || stride == expected;
        expected *= length;
    }
    if !is_tight {
        return into_contiguous(tensor);
    }
    stride_tightly(&mut tensor);
    tensor
}

fn stride_tightly<R: CubeRuntime>(tensor: &mut CubeTensor<R>) {
    let shape = tensor.meta.shape().clone();
    let mut stride = 1;
    for (at, &length) in shape.iter().enumerate().rev() {
        tensor.meta.strides_mut()[at] = stride;
        stride *= length;
    }
}
