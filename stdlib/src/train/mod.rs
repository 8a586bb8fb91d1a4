//! From features or photos to a model.

mod augment;
mod batches;
mod failure;
mod finetune;
mod frozen;
mod head;
mod history;
mod model;
mod rows;
mod schedule;

pub use augment::{Augment, Flip};
pub use finetune::{ClassWeight, Finetune, Keep, Norms, Tuner};
pub use head::{Beta, Optimizer, TrainHead};
pub(crate) use model::read_head;
pub use schedule::Schedule;
