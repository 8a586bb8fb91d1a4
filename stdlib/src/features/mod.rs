//! From pixels to feature vectors.

mod backbone;
pub(crate) mod files;
mod models;
mod on_cpu;
mod on_gpu;
mod vector;

pub use backbone::{BackboneFeatures, Model, Normalize, Variant, WeightsFrom};
pub(crate) use models::models;
pub(crate) use vector::{decode as decode_features, encode as encode_features};
