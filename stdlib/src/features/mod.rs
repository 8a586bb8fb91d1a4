//! From pixels to feature vectors.

pub(crate) mod backbone;
pub(crate) mod files;
mod vector;

pub(crate) use vector::{decode as decode_features, encode as encode_features};
