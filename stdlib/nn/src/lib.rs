//! Networks: described once as data, run through Burn.
//!
//! Burn lives in this crate alone, behind plain structs and functions: pixels and features are
//! slices of `f32`, so that moving to another version of Burn is a change in one place.

#[cfg(feature = "wgpu")]
mod adapter;
mod attempt;
mod backbone;
mod descent;
mod device;
mod driver;
mod failure;
mod flat;
mod forward;
mod head;
mod info;
mod kernels;
mod layer;
mod loss;
mod monitor;
mod operations;
mod parameters;
mod pixels;
mod precision;
mod trial;
mod tuning;
mod upload;
mod work;

#[cfg(feature = "wgpu")]
pub use adapter::Adapter;
pub use attempt::attempt;
pub use backbone::{Backbone, batch_size, supports};
pub use descent::Descent;
pub use device::{ComputeDevice, cuda_compiler, cuda_devices, wgpu_devices};
pub use failure::DeviceFailure;
pub use head::{Adam, Epoch, Evaluation, Head, HeadTraining, Rows, train_head};
pub use info::{DeviceInfo, DeviceMissing};
pub use kernels::keep_kernels;
pub use monitor::{DeviceUse, Watch};
pub use pixels::PixelScale;
pub use precision::Precision;
pub use trial::{Operation, Trial};
pub use tuning::{Images, Step, Tuner, Tuning};
