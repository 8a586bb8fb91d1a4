//! How good a model is.

mod classifier;
pub mod metrics;

pub use classifier::EvalClassifier;
