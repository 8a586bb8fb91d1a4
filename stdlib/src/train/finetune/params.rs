//! What may be written of a fine-tuning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::features::{Model, Normalize, Precision, Variant, WeightsFrom};
use crate::train::augment::Augment;
use crate::train::head::{Beta, default_betas, default_eps};
use crate::train::schedule::Schedule;

/// Trains a network with a head on photos: fine-tuning.
///
/// The head is as `train.head` has it: two classes have one output, a sigmoid and binary cross-entropy;
/// more have an output each, a softmax and categorical cross-entropy. Learns from the train rows, and
/// tells after each epoch the loss and accuracy on the train rows (mean over the epoch's steps) and on the
/// validation rows. The third output, `features`, holds what the tuned network makes of every photo, which
/// is what `eval.classifier` and `audit.labels` want beside the model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// The network.
    pub model: Model,
    /// What training starts from: a file of weights, or `random`. As in `features.backbone`.
    pub weights: WeightsFrom,
    /// Whose version of the network the weights were trained as.
    #[serde(default)]
    pub variant: Variant,
    /// What is done to pixels in 0..=1 before they enter the network.
    #[serde(default)]
    pub normalize: Normalize,
    /// How often the train rows are gone through.
    #[serde(default = "default_epochs")]
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// Rows a step; the last step of an epoch takes what is left.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 65_536))]
    pub batch_size: u32,
    /// How weights follow gradients.
    #[serde(default)]
    pub optimizer: Tuner,
    /// How the learning rate goes on once it is reached.
    #[serde(default)]
    pub schedule: Schedule,
    /// Over how many epochs, from the first on, the learning rate rises to what it is.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub warmup_epochs: f64,
    /// Which statistics batch norms use.
    #[serde(default)]
    pub norms: Norms,
    /// How many of the network's first blocks stay as they are, the statistics of their norms too: its first
    /// convolution is one, and so is each pooling and each block (residual, bottleneck, fire, encoder layer,
    /// or a convolution between them) behind it.
    #[serde(default)]
    pub freeze: u32,
    /// What is done to photos of the train rows by chance, anew in each epoch.
    #[serde(default)]
    pub augment: Augment,
    /// The part of the features that each step leaves out.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// How much a row of each class counts.
    #[serde(default)]
    pub class_weight: ClassWeight,
    /// Which epoch's weights are kept.
    #[serde(default)]
    pub keep: Keep,
    /// The numbers of maps and their gradients while it trains; weights are `f32`, and so is all that is
    /// told of the tuned network. Half of the bits are faster on GPUs; the CPU has `f32` alone.
    #[serde(default)]
    pub precision: Precision,
    /// Where chance starts: the head's first weights, the order of the rows, what is done to photos.
    #[serde(default)]
    pub seed: u32,
}

/// How weights follow gradients.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tuner {
    /// Loshchilov and Hutter 2019.
    Adamw {
        /// Learning rate.
        #[serde(default = "default_lr")]
        #[schemars(range(max = 10.0), extend("exclusiveMinimum" = 0))]
        lr: f64,
        /// Decay of the running means of the gradient and of its square.
        #[serde(default = "default_betas")]
        betas: [Beta; 2],
        /// Added to the denominator.
        #[serde(default = "default_eps")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        eps: f64,
        /// The part of the weights, times the learning rate, that each step takes away; biases and norms
        /// keep all.
        #[serde(default = "default_decay")]
        #[schemars(range(min = 0.0, max = 1.0))]
        weight_decay: f64,
    },
    /// Stochastic gradient descent, as PyTorch has it.
    Sgd {
        /// Learning rate.
        #[serde(default = "default_sgd_lr")]
        #[schemars(range(max = 10.0), extend("exclusiveMinimum" = 0))]
        lr: f64,
        /// What stays of the last step.
        #[serde(default = "default_momentum")]
        momentum: Beta,
        /// The part of the weights that is added to their gradients; not to those of biases and norms.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        weight_decay: f64,
    },
}

impl Default for Tuner {
    fn default() -> Self {
        Self::Adamw { lr: default_lr(), betas: default_betas(), eps: default_eps(), weight_decay: default_decay() }
    }
}

/// Which statistics batch norms use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Norms {
    /// Those that came with the weights: what is trained is what is used afterwards, whatever the batch.
    #[default]
    Frozen,
    /// Those of each step's rows, from which running ones are learned, but for blocks that `freeze` names: for
    /// large batches, or for weights that chance made.
    Batch,
}

/// How much a row of each class counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeight {
    /// All rows alike.
    #[default]
    None,
    /// All classes alike, however many rows they have: `rows / (classes * rows of the class)`, as in
    /// scikit-learn.
    Balanced,
}

/// Which epoch's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The last one's.
    #[default]
    Last,
    /// Those with the smallest loss on the validation rows.
    Best,
}

fn default_epochs() -> u32 {
    5
}

fn default_batch_size() -> u32 {
    32
}

fn default_lr() -> f64 {
    1e-4
}

fn default_sgd_lr() -> f64 {
    0.01
}

fn default_momentum() -> Beta {
    Beta(0.9)
}

fn default_decay() -> f64 {
    0.01
}
