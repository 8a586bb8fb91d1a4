//! `features.backbone`.

use std::borrow::Cow;

use pipe_core::{Demand, Failure, ItemError, Job, Kind, Map, Pace, Stage, Worker};
use pipe_nn::{Backbone, ComputeDevice, Network, WeightsError, network};
use pipe_spec::{FilePath, types};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::encode_features;
use crate::device;
use crate::preprocess::Pixels;

/// Images that a GPU gets at once.
const GPU_BATCH: usize = 64;
/// The mean and standard deviation of ImageNet's pixels in 0..=1, as torchvision has them.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// Runs each image through a frozen network and keeps the features before its classifier.
///
/// The features are the mean over height and width of the last block's channels: 1,280 for
/// `efficientnet_b0` and `mobilenet_v2`, 512 for `squeezenet1_1`. A photo's features do not depend
/// on the photos beside it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackboneFeatures {
    /// The network.
    pub model: Model,
    /// A safetensors file with torchvision's names, or `random`.
    pub weights: WeightsFrom,
    /// Where chance starts, with `weights: random`.
    #[serde(default)]
    pub seed: u32,
    /// What is done to pixels in 0..=1 before they enter the network.
    #[serde(default)]
    pub normalize: Normalize,
}

impl BackboneFeatures {
    /// A network with its weights, pixels as they are.
    pub fn new(model: Model, weights: WeightsFrom) -> Self {
        Self { model, weights, seed: 0, normalize: Normalize::None }
    }
}

/// A network that is described in the standard library.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Tan and Le 2019: 4.0 million parameters, 1,280 features.
    EfficientnetB0,
    /// Sandler et al. 2018: 2.2 million parameters, 1,280 features.
    MobilenetV2,
    /// Iandola et al. 2016: 0.7 million parameters, 512 features.
    #[serde(rename = "squeezenet1_1")]
    Squeezenet11,
}

impl Model {
    fn network(self) -> Result<Network, Failure> {
        let name = match self {
            Self::EfficientnetB0 => "efficientnet_b0",
            Self::MobilenetV2 => "mobilenet_v2",
            Self::Squeezenet11 => "squeezenet1_1",
        };
        network(name).ok_or_else(|| Failure::new("pipe::internal", format!("no table for {name}")))
    }
}

/// Where weights come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum WeightsFrom {
    /// Chance.
    Random,
    /// A safetensors file.
    File(FilePath),
}

impl From<String> for WeightsFrom {
    fn from(text: String) -> Self {
        if text == "random" { Self::Random } else { Self::File(FilePath::from(std::path::PathBuf::from(text))) }
    }
}

impl From<WeightsFrom> for String {
    fn from(weights: WeightsFrom) -> Self {
        match weights {
            WeightsFrom::Random => "random".into(),
            WeightsFrom::File(file) => file.path().to_string_lossy().into_owned(),
        }
    }
}

impl JsonSchema for WeightsFrom {
    fn schema_name() -> Cow<'static, str> {
        "WeightsFrom".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "random" }, FilePath::json_schema(generator)] })
    }
}

/// What is done to pixels in 0..=1.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Nothing.
    #[default]
    None,
    /// ImageNet's mean taken away and divided by its standard deviation, as torchvision's and
    /// timm's weights want it.
    Imagenet,
    /// `(x - mean) / std`, a channel each.
    #[serde(untagged)]
    Custom {
        /// Red, green, blue, in 0..=1.
        mean: [f64; 3],
        /// Red, green, blue, above 0.
        std: [f64; 3],
    },
}

impl Normalize {
    fn mean_and_std(&self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::None => ([0.0; 3], [1.0; 3]),
            Self::Imagenet => IMAGENET,
            Self::Custom { mean, std } => (mean.map(|mean| mean as f32), std.map(|std| std as f32)),
        }
    }
}

impl Kind for BackboneFeatures {
    const NAME: &'static str = "features.backbone";
    const VERSION: u32 = 1;
    type Inputs = types::Images;
    const INPUTS: &'static [&'static str] = &["images"];
    type Outputs = types::Features;
    const OUTPUTS: &'static [&'static str] = &["features"];
    const NUMERIC: Option<&'static str> = Some("f32");

    fn demand(&self) -> Demand {
        Demand::Device
    }

    fn validate(&self) -> Result<(), Failure> {
        let (_, std) = self.normalize.mean_and_std();
        if std.iter().all(|std| *std > 0.0) {
            return Ok(());
        }
        Err(Failure::new("pipe::invalid_param", "a standard deviation is not above 0").param("normalize.std"))
    }
}

impl Map for BackboneFeatures {
    fn open(&self, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        let network = self.model.network()?;
        let weights = match &self.weights {
            WeightsFrom::Random => pipe_nn::Weights::random(&network, u64::from(self.seed)),
            WeightsFrom::File(file) => {
                let bytes = read(file)?;
                pipe_nn::Weights::from_safetensors(&bytes, &network).map_err(|error| misfit(&error))?
            }
        };
        let device = device::resolve(job.device)?;
        if device != ComputeDevice::Cpu {
            job.note(format!("on {device}"));
        }
        let (mean, std) = self.normalize.mean_and_std();
        Ok(Box::new(Ready {
            backbone: Backbone::new(&network, &weights, device),
            device,
            mean,
            std,
            features: network.features,
        }))
    }

    fn meta(&self, before: &Value, job: &Job<'_>) -> Result<Value, Failure> {
        let weights = match &self.weights {
            WeightsFrom::Random => json!({ "random": self.seed }),
            // Into the store, so that a model made of these features has all that it needs.
            WeightsFrom::File(file) => json!({ "digest": job.store.put(&read(file)?)? }),
        };
        let (mean, std) = self.normalize.mean_and_std();
        Ok(json!({
            "image": before.get("image"),
            "backbone": { "model": self.model, "weights": weights, "mean": mean, "std": std },
        }))
    }
}

fn read(file: &FilePath) -> Result<Vec<u8>, Failure> {
    std::fs::read(file.path()).map_err(|error| {
        Failure::new("pipe::file_not_found", format!("cannot read {}: {error}", file.path().display())).param("weights")
    })
}

fn misfit(error: &WeightsError) -> Failure {
    Failure::new("pipe::weights", error.to_string())
        .param("weights")
        .help("see that `model` is the network that the weights were made for, with torchvision's names")
}

/// A network on a device. Clones share it, so that each thread has its own worker.
#[derive(Clone)]
struct Ready {
    backbone: Backbone,
    device: ComputeDevice,
    mean: [f32; 3],
    std: [f32; 3],
    features: usize,
}

impl Stage for Ready {
    fn pace(&self) -> Pace {
        match self.device {
            // A photo a core is quicker than a batch over all of them.
            ComputeDevice::Cpu => Pace::EveryCore,
            ComputeDevice::Cuda(_) => Pace::Batches { size: GPU_BATCH, workers: 1 },
        }
    }

    fn worker(&self) -> Box<dyn Worker> {
        Box::new(self.clone())
    }
}

impl Worker for Ready {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>> {
        let count = items.len();
        let images: Option<Vec<Pixels>> = items.iter().map(|item| Pixels::decode(item)).collect();
        let Some(images) = images else { return vec![Err("not an item of pixels".into()); count] };
        let Some((width, height)) = images.first().map(|image| (image.width, image.height)) else { return Vec::new() };
        if images.iter().any(|image| (image.width, image.height) != (width, height)) {
            return vec![Err("images of different sizes in one batch".into()); count];
        }
        // The last batch is filled up, so that shapes and with them kernels stay the same.
        let batch = match self.pace() {
            Pace::EveryCore => count,
            Pace::Batches { size, .. } => size.max(count),
        };
        let mut planes = Vec::with_capacity(batch * 3 * width * height);
        images.iter().for_each(|image| self.normalise(image, &mut planes));
        planes.resize(batch * 3 * width * height, 0.0);
        let features = self.backbone.features(planes, batch, height, width);
        features.chunks_exact(self.features).take(count).map(|features| Ok(encode_features(features))).collect()
    }
}

impl Ready {
    /// Appends `[3, height, width]`, in 0..=1 and then normalised.
    fn normalise(&self, image: &Pixels, planes: &mut Vec<f32>) {
        for channel in 0..3 {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            let values = image.rgb.iter().skip(channel).step_by(3);
            planes.extend(values.map(|&value| (f32::from(value) / 255.0 - mean) / std));
        }
    }
}
