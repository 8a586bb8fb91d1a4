//! Several results side by side.

mod metrics;
mod plot;

pub use metrics::{CompareMetrics, Goal};
