//! The networks that kinds know, as a person wants to see them.

use serde::Serialize;

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Its name, as params take it.
    pub name: String,
    /// The side of the images that it was made for, in pixels.
    pub input_size: usize,
    /// Parameters, the classifier's too.
    pub parameters: usize,
    /// Length of its feature vector.
    pub features: usize,
    /// Multiply-adds for one image of `input_size`.
    pub multiply_adds: u64,
    /// Weights that others published, those that people usually take first.
    pub weights: Vec<ModelWeights>,
    /// Its layers, the classifier last.
    pub layers: Vec<ModelLayer>,
}

/// Weights that others published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelWeights {
    /// Who published them, and as what.
    pub name: String,
    /// Whether they are those that people usually take.
    pub usual: bool,
    /// SPDX's name of the licence.
    pub license: &'static str,
    /// The images that they were trained on, as params.
    pub expects: String,
    /// The nodes that feed them what they expect.
    pub nodes: Vec<ModelNode>,
}

/// A node that goes with weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelNode {
    /// Its kind.
    pub kind: &'static str,
    /// Its params, as a pipeline has them.
    pub with: String,
}

/// A layer that has weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelLayer {
    /// Its name in a state dict.
    pub layer: String,
    /// What it is.
    pub kind: String,
    /// What comes out: channels, height, width.
    pub output: [usize; 3],
    /// Parameters.
    pub parameters: usize,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
}
