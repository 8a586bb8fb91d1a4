//! `features.backbone`.

use std::collections::BTreeMap;

use pipe_core::{Demand, Failure, Job, Kind, Map, Meta, Stage};
use pipe_network::Naming;
use pipe_nn::{ComputeDevice, supports};
use pipe_spec::types;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::Model;
use super::normalize::Normalize;
use super::stage::{side, stage, warn};
use super::weights::WeightsFrom;
use crate::device;

/// Runs each image through a frozen network and keeps the features before its classifier.
///
/// The features are what the network's last dense layer gets: the mean over height and width of the
/// last block's channels for most, the class token for a transformer; `pool` gives others. A photo's
/// features do not depend on the photos beside it. Where the weights are known, a warning tells what they
/// expect of images and are not given.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackboneFeatures {
    /// The network.
    pub model: Model,
    /// A file of weights, or `random`: safetensors, or what `torch.save` wrote, with torchvision's or
    /// timm's names. A file of the web is kept in the store: one of the hub
    /// (`hub:timm/NAME@REVISION#sha256=DIGEST`), or any other (`https://...#sha256=DIGEST`).
    pub weights: WeightsFrom,
    /// Whose version of the network the weights were trained as.
    #[serde(default)]
    pub variant: Variant,
    /// Where chance starts, with `weights: random`.
    #[serde(default)]
    pub seed: u32,
    /// What is done to pixels in 0..=1 before they enter the network.
    #[serde(default)]
    pub normalize: Normalize,
    /// What becomes of the places of the last map.
    #[serde(default)]
    pub pool: Pool,
    /// The numbers that weights and maps are kept in. Half of the bits are faster on GPUs that have
    /// kernels for them, and give other features; the CPU has `f32` alone.
    #[serde(default)]
    pub precision: Precision,
}

impl BackboneFeatures {
    /// A network with its weights, pixels as they are.
    pub fn new(model: Model, weights: WeightsFrom) -> Self {
        Self {
            model,
            weights,
            variant: Variant::Auto,
            seed: 0,
            normalize: Normalize::None,
            pool: Pool::Own,
            precision: Precision::F32,
        }
    }
}

/// Whose version of a network it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// torchvision's or timm's, by the names in the file.
    #[default]
    Auto,
    /// torchvision's.
    Torchvision,
    /// timm's: batch norms add 1e-5 to the variance.
    Timm,
    /// TensorFlow's and Keras', timm's `tf_...`: batch norms add 1e-3 to the variance, and convolutions
    /// with a stride pad at the end first.
    Tensorflow,
}

impl Variant {
    /// With names told apart, so that it says whose it is.
    pub(crate) fn resolved(self, naming: Naming) -> Self {
        match (self, naming) {
            (Self::Auto, Naming::Timm) => Self::Timm,
            (Self::Auto, Naming::Torchvision | Naming::Either) => Self::Torchvision,
            (written, _) => written,
        }
    }

    pub(crate) fn of(self, naming: Naming) -> pipe_network::Variant {
        match self.resolved(naming) {
            Self::Timm => pipe_network::Variant::Timm,
            Self::Torchvision | Self::Auto => pipe_network::Variant::Torchvision,
            Self::Tensorflow => pipe_network::Variant::Tensorflow,
        }
    }
}

/// What becomes of the places of the last map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// What the network's own classifier gets.
    #[default]
    Own,
    /// The mean over all places; of a transformer's patches, its class token left out.
    Average,
    /// Every place stays, one behind the other: of a transformer each patch, as DINO uses them.
    None,
}

impl Pool {
    pub(crate) fn of_network(self) -> pipe_network::Pool {
        match self {
            Self::Own => pipe_network::Pool::Own,
            Self::Average => pipe_network::Pool::Average,
            Self::None => pipe_network::Pool::Keep,
        }
    }
}

/// The numbers that weights and maps are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, 24 of them for the digits.
    #[default]
    F32,
    /// Kept as `f32`, but the factors of products are rounded to 11 digits: as fast as NVIDIA's tensor
    /// cores are, from Ampere on.
    Tf32,
    /// 16 bits, 11 of them for the digits, up to 65,504.
    F16,
    /// 16 bits, 8 of them for the digits, as far as `f32` reaches.
    Bf16,
}

impl Precision {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Refuses what a device does not compute with.
    pub(crate) fn check(self, devices: &[ComputeDevice]) -> Result<(), Failure> {
        let Some(device) = devices.iter().find(|device| !supports(**device, self.of_network())) else {
            return Ok(());
        };
        let message = format!("{device} does not compute with {}", self.name());
        let help = "write `precision: f32`, or run on a GPU that does: `--device cuda`";
        Err(Failure::new("pipe::device", message).param("precision").help(help))
    }

    pub(crate) fn of_network(self) -> pipe_nn::Precision {
        match self {
            Self::F32 => pipe_nn::Precision::F32,
            Self::Tf32 => pipe_nn::Precision::Tf32,
            Self::F16 => pipe_nn::Precision::F16,
            Self::Bf16 => pipe_nn::Precision::Bf16,
        }
    }
}

impl Kind for BackboneFeatures {
    const NAME: &'static str = "features.backbone";
    const VERSION: u32 = 3;
    type Inputs = types::Images;
    const INPUTS: &'static [&'static str] = &["images"];
    type Outputs = types::Features;
    const OUTPUTS: &'static [&'static str] = &["features"];
    const NUMERIC: Option<&'static str> = Some("f32");

    fn demand(&self) -> Demand {
        Demand::Device
    }

    fn validate(&self) -> Result<(), Failure> {
        self.normalize.validate()
    }
}

impl Map for BackboneFeatures {
    fn open(&self, before: &Meta, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        // First what costs nothing to find out; weights may have to be fetched.
        let devices = device::resolve(job)?;
        self.precision.check(&devices)?;
        let network = self.model.network()?;
        let (weights, naming) = self.weights.read(&network, self.seed, job)?;
        let weights = weights.without_classifier(&network);
        warn(self.model, &self.weights, naming, before, &self.normalize, job);
        let network = network.variant(self.variant.of(naming)).pooled(self.pool.of_network());
        if devices != [ComputeDevice::Cpu] {
            job.note(format!("on {}", device::names(&devices)));
        }
        let side = side(before, &network);
        stage(network, weights, &self.normalize, self.precision.of_network(), &devices, side)
    }

    fn meta(&self, before: &Meta, job: &Job<'_>) -> Result<Meta, Failure> {
        let stored = self.weights.stored(job)?;
        let weights = match stored {
            Some(digest) => json!({ "digest": digest }),
            None => json!({ "random": self.seed }),
        };
        let (mean, std) = self.normalize.mean_and_std();
        let json = json!({
            "image": before.json.get("image"),
            "backbone": {
                "model": self.model, "weights": weights, "variant": self.variant, "mean": mean, "std": std,
                "pool": self.pool, "precision": self.precision,
            },
        });
        let parts: BTreeMap<_, _> = stored.map(|digest| ("backbone".to_owned(), digest)).into_iter().collect();
        Ok(Meta { json, parts })
    }
}
