//! Networks as data: what they are made of, and the weights that they need.
//!
//! A [`Network`] is a list of blocks, made from the tables of its paper, a file a family. This crate
//! knows nothing of how a network is run: the readers of the description do.

mod block;
mod catalog;
mod convnext;
mod efficientnet;
mod error;
mod file;
mod fold;
mod known;
mod layers;
mod mobilenet;
mod names;
mod network;
mod pool;
mod resnet;
mod squeezenet;
mod tensors;
mod trunk;
mod variant;
mod vit;
mod weights;

pub use block::{
    Activation, Attention, Block, Conv, LayerNorm, Linear, MaxPool, Norm, Padding, Residual, SqueezeExcite, Tokens,
};
pub use catalog::{NETWORKS, network};
pub use error::{UnfitImage, WeightProblem, WeightsError};
pub use fold::Folded;
pub use known::{KnownWeights, Library, Normalization, all_known_weights, known_weights};
pub use layers::LayerRow;
pub use network::{Classifier, Network};
pub use pool::Pool;
pub use tensors::{Role, TensorSpec};
pub use variant::Variant;
pub use weights::{Naming, Weights};
