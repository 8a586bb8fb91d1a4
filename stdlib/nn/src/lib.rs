//! Networks: described once as data, run through Burn.
//!
//! Burn lives in this crate alone, behind plain structs and functions: pixels and features are
//! slices of `f32`, so that moving to another version of Burn is a change in one place.

mod backbone;
mod device;
mod driver;
mod forward;
mod head;
mod network;
mod tables;
mod weights;

pub use backbone::Backbone;
pub use device::{ComputeDevice, DeviceMissing};
pub use head::{Adam, Epoch, Head, HeadTraining, Rows, train_head};
pub use network::{Activation, Block, Classifier, Conv, LayerRow, Network, Norm, SqueezeExcite, TensorSpec};
pub use tables::{NETWORKS, network};
pub use weights::{WeightProblem, Weights, WeightsError};
