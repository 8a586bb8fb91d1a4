//! Networks: described once as data, run through Burn.
//!
//! Burn lives in this crate alone, behind plain structs and functions: pixels and features are
//! slices of `f32`, so that moving to another version of Burn is a change in one place.

mod backbone;
mod device;
mod driver;
mod forward;
mod head;

pub use backbone::Backbone;
pub use device::{ComputeDevice, DeviceMissing};
pub use head::{Adam, Epoch, Head, HeadTraining, Rows, train_head};
