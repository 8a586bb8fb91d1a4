//! The types of artifact that flow along the edges of a pipeline.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an output holds. Two ports fit when their types are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ArtifactType {
    /// A table of items: id, label, split and the digest of the item's bytes.
    Records,
    /// Decoded pixels, one item a record.
    Images,
    /// Feature vectors, one item a record.
    Features,
    /// A trained network with all that is needed to use it.
    Model,
    /// Predicted probabilities, one row a record.
    Predictions,
    /// Named numbers.
    Metrics,
    /// A document for people.
    Report,
    /// Ordinary files.
    Files,
    /// Any JSON value, one item a record.
    Values,
}

impl ArtifactType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Records,
        Self::Images,
        Self::Features,
        Self::Model,
        Self::Predictions,
        Self::Metrics,
        Self::Report,
        Self::Files,
        Self::Values,
    ];
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
