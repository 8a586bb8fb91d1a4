//! From pixels to feature vectors.

mod backbone;
mod contract;
pub(crate) mod files;
mod meter;
mod model;
mod models;
mod normalize;
mod on_cpu;
mod on_gpu;
mod stage;
mod vector;
mod weights;

pub use backbone::{BackboneFeatures, Pool, Precision, Variant};
pub use model::Model;
pub(crate) use models::models;
pub use normalize::Normalize;
pub(crate) use on_cpu::OnCpu;
pub(crate) use stage::{run, side, stage, warn};
pub(crate) use vector::{decode as decode_features, encode as encode_features};
pub use weights::WeightsFrom;
