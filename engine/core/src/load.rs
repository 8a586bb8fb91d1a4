//! How busy a node's devices are.

use serde::Serialize;

/// What a node that works on devices is waiting for, and how busy they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// The part of the time in which nothing was there to work on, in 0..=1.
    pub waiting: f64,
    /// The part of the last moments in which a GPU computed, in 0..=1: the mean where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    /// The bytes of a GPU's memory that are taken, by whomever: the most where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}
