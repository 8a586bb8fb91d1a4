//! The statistics of a step's rows, from those of its parts.

use burn::tensor::backend::Backend;

use crate::layer::Seen;

/// What norms saw of all rows, on the device of the first part.
pub(super) fn together<B: Backend>(parts: Vec<Vec<Seen<B>>>) -> Vec<Seen<B>> {
    let join = |all: Vec<Seen<B>>, part: Vec<Seen<B>>| {
        all.into_iter().zip(part).map(|(one, other)| both(one, other)).collect()
    };
    parts.into_iter().reduce(join).unwrap_or_default()
}

/// Mean and variance of the values of both: what varies within them, and from one mean to the other
/// (Chan, Golub and LeVeque 1979).
fn both<B: Backend>(one: Seen<B>, other: Seen<B>) -> Seen<B> {
    let values = one.values + other.values;
    let [of_one, of_other] = [one.values, other.values].map(|part| part as f64 / values as f64);
    let device = one.mean.device();
    let off = other.mean.to_device(&device) - one.mean.clone();
    let within = one.variance * of_one + other.variance.to_device(&device) * of_other;
    Seen {
        norm: one.norm,
        mean: one.mean + off.clone() * of_other,
        variance: within + off.powi_scalar(2) * (of_one * of_other),
        values,
    }
}
