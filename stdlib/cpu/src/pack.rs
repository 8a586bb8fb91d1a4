//! Weights in the order in which kernels read them.

use crate::kernels::LANES;
use crate::kernels::memory::Vectors;

/// Weights `[outputs, inputs, kernel, kernel]` as panels of `panel` vectors of outputs:
/// `[panel][tap][input of the tap][output of the panel]`.
///
/// A tap is sixteen inputs at one place of the kernel, taps in the order blocks of inputs, rows,
/// columns; where the input is planar, a tap is one input.
pub(crate) fn dense(
    weight: &[f32],
    inputs: usize,
    outputs: usize,
    kernel: usize,
    is_planar: bool,
    panel: usize,
) -> Vectors {
    let blocks = outputs.div_ceil(LANES);
    let places = kernel * kernel;
    let group = if is_planar { 1 } else { LANES };
    let mut packed = Vectors::zeros(blocks * LANES * inputs * places);
    let mut to = packed.numbers_mut().iter_mut();
    for block in (0..blocks).step_by(panel) {
        let last = (block + panel).min(blocks) * LANES;
        for first in (0..inputs).step_by(group) {
            for place in 0..places {
                for input in first..(first + group).min(inputs) {
                    for (output, to) in (block * LANES..last).zip(&mut to) {
                        if output < outputs {
                            *to = weight[(output * inputs + input) * places + place];
                        }
                    }
                }
            }
        }
    }
    packed
}

/// Weights `[channels, 1, kernel, kernel]` as `[block][place of the kernel][channel of the block]`.
pub(crate) fn depthwise(weight: &[f32], channels: usize, kernel: usize) -> Vectors {
    map(&transposed(weight, channels, kernel * kernel), channels, kernel * kernel)
}

/// `[rows, columns]` with zeros to whole vectors at the end of each row.
pub(crate) fn rows(weight: &[f32], columns: usize) -> Vectors {
    let padded = columns.next_multiple_of(LANES);
    let mut packed = Vectors::zeros(weight.len() / columns.max(1) * padded);
    for (row, to) in weight.chunks_exact(columns).zip(packed.numbers_mut().chunks_exact_mut(padded)) {
        to[..columns].copy_from_slice(row);
    }
    packed
}

/// `[rows, columns]` as [`rows`] packs its transpose.
pub(crate) fn columns(weight: &[f32], rows_: usize, columns: usize) -> Vectors {
    rows(&transposed(weight, rows_, columns), rows_)
}

/// `[places, channels]` as a map, `[block][place][channel of the block]`.
pub(crate) fn map(numbers: &[f32], channels: usize, places: usize) -> Vectors {
    let mut packed = Vectors::zeros(channels.next_multiple_of(LANES) * places);
    let to = packed.numbers_mut();
    for (number, value) in numbers.iter().enumerate() {
        let (place, channel) = (number / channels, number % channels);
        to[(channel / LANES * places + place) * LANES + channel % LANES] = *value;
    }
    packed
}

fn transposed(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|at| numbers[at % rows * columns + at / rows]).collect()
}
