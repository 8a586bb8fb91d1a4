//! From features to a model.

mod head;
mod model;

pub use head::{Beta, Optimizer, TrainHead};
pub(crate) use model::read_head;
