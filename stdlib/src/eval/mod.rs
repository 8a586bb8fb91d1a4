//! How good a model is.

pub(crate) mod classifier;
pub mod metrics;
