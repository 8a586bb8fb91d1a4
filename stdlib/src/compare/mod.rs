//! Several results side by side.

pub(crate) mod metrics;
mod plot;
