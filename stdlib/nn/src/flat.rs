//! Many tensors in one, so that what is done to all of them is done at once.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use pipe_gpu::{ALIGNMENT, Piece};

use crate::operations::Operations;

/// Where tensors lie in a flat one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// Where each begins, and its shape.
    places: Vec<(usize, [usize; 4])>,
    /// Numbers in all, those between tensors among them.
    length: usize,
}

impl Layout {
    /// Of tensors of such shapes.
    pub(crate) fn new(shapes: impl IntoIterator<Item = [usize; 4]>) -> Self {
        let mut layout = Self::default();
        for shape in shapes {
            layout.places.push((layout.length, shape));
            layout.length += shape.iter().product::<usize>().next_multiple_of(ALIGNMENT);
        }
        layout
    }

    /// Where the numbers of one lie.
    fn range(&self, at: usize) -> Range<usize> {
        let (start, shape) = self.places[at];
        start..start + shape.iter().product::<usize>()
    }

    /// A flat tensor of the numbers of each.
    pub(crate) fn tensor<B: Operations>(&self, numbers: &[&[f32]], device: &B::Device) -> Tensor<B, 1> {
        // Devices have no tensors without numbers.
        let length = self.length.max(ALIGNMENT);
        let mut all = vec![0.0; length];
        for (at, numbers) in numbers.iter().enumerate() {
            all[self.range(at)].copy_from_slice(numbers);
        }
        Tensor::from_data(TensorData::new::<f32, _>(all, [length]), device)
    }

    /// One of the tensors.
    pub(crate) fn part<B: Operations>(&self, flat: &Tensor<B, 1>, at: usize) -> Tensor<B, 4> {
        let (start, shape) = self.places[at];
        B::part(flat, start, shape)
    }

    /// The numbers of one, of those of a flat tensor.
    pub(crate) fn numbers<'a>(&self, flat: &'a [f32], at: usize) -> &'a [f32] {
        &flat[self.range(at)]
    }

    /// What belongs to one, times a factor.
    pub(crate) fn piece<B: Operations>(&self, at: usize, tensor: Tensor<B, 4>, factor: f32) -> Piece<Tensor<B, 4>> {
        Piece { start: self.places[at].0, tensor, factor }
    }
}
