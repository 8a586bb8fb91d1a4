//! `features.backbone`.

use std::borrow::Cow;

use pipe_core::{Demand, Failure, Job, Kind, Map, Stage};
use pipe_network::{Naming, Network, Weights, WeightsError, network};
use pipe_nn::ComputeDevice;
use pipe_spec::{FilePath, types};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::on_cpu::OnCpu;
use super::on_gpu::OnGpu;
use crate::device;

/// The mean and standard deviation of ImageNet's pixels in 0..=1, as torchvision has them.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// The commonest silent mistake with weights that others trained.
const UNNORMALISED: &str = "warning: pixels are fed as they are, in 0..=1, and torchvision's and timm's weights \
                            expect them normalised: `normalize: imagenet`, or the mean and std that the weights' page names";

/// Runs each image through a frozen network and keeps the features before its classifier.
///
/// The features are what the network's last dense layer gets: the mean over height and width of the
/// last block's channels for most, the class token for a transformer. A photo's features do not
/// depend on the photos beside it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackboneFeatures {
    /// The network.
    pub model: Model,
    /// A file of weights, or `random`: safetensors, or what `torch.save` wrote, with torchvision's or
    /// timm's names.
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
}

impl BackboneFeatures {
    /// A network with its weights, pixels as they are.
    pub fn new(model: Model, weights: WeightsFrom) -> Self {
        Self { model, weights, variant: Variant::Auto, seed: 0, normalize: Normalize::None }
    }
}

/// A network that is described in the standard library. Parameters are counted with the classifier
/// for ImageNet's 1,000 classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Model {
    /// Tan and Le 2019: 5.3 million parameters, 1,280 features, made for 224 pixels.
    #[serde(rename = "efficientnet_b0")]
    EfficientnetB0,
    /// 7.8 million parameters, 1,280 features, 240 pixels.
    #[serde(rename = "efficientnet_b1")]
    EfficientnetB1,
    /// 9.1 million parameters, 1,408 features, 260 pixels.
    #[serde(rename = "efficientnet_b2")]
    EfficientnetB2,
    /// 12.2 million parameters, 1,536 features, 300 pixels.
    #[serde(rename = "efficientnet_b3")]
    EfficientnetB3,
    /// 19.3 million parameters, 1,792 features, 380 pixels.
    #[serde(rename = "efficientnet_b4")]
    EfficientnetB4,
    /// 30.4 million parameters, 2,048 features, 456 pixels.
    #[serde(rename = "efficientnet_b5")]
    EfficientnetB5,
    /// 43.0 million parameters, 2,304 features, 528 pixels.
    #[serde(rename = "efficientnet_b6")]
    EfficientnetB6,
    /// 66.3 million parameters, 2,560 features, 600 pixels.
    #[serde(rename = "efficientnet_b7")]
    EfficientnetB7,
    /// Tan and Le 2021: 21.5 million parameters, 1,280 features, 384 pixels.
    #[serde(rename = "efficientnet_v2_s")]
    EfficientnetV2S,
    /// Sandler et al. 2018: 3.5 million parameters, 1,280 features, 224 pixels.
    #[serde(rename = "mobilenet_v2")]
    MobilenetV2,
    /// Howard et al. 2019: 2.5 million parameters, 1,024 features, 224 pixels.
    #[serde(rename = "mobilenet_v3_small")]
    MobilenetV3Small,
    /// 5.5 million parameters, 1,280 features, 224 pixels.
    #[serde(rename = "mobilenet_v3_large")]
    MobilenetV3Large,
    /// He et al. 2015: 11.7 million parameters, 512 features, 224 pixels.
    #[serde(rename = "resnet18")]
    Resnet18,
    /// 21.8 million parameters, 512 features, 224 pixels.
    #[serde(rename = "resnet34")]
    Resnet34,
    /// 25.6 million parameters, 2,048 features, 224 pixels.
    #[serde(rename = "resnet50")]
    Resnet50,
    /// 44.5 million parameters, 2,048 features, 224 pixels.
    #[serde(rename = "resnet101")]
    Resnet101,
    /// Iandola et al. 2016: 1.2 million parameters, 512 features, 224 pixels.
    #[serde(rename = "squeezenet1_1")]
    Squeezenet11,
    /// Liu et al. 2022: 28.6 million parameters, 768 features, 224 pixels.
    #[serde(rename = "convnext_tiny")]
    ConvnextTiny,
    /// Dosovitskiy et al. 2020: 86.6 million parameters, 768 features, 224 pixels alone.
    #[serde(rename = "vit_b_16")]
    VitB16,
}

impl Model {
    /// Its name, torchvision's.
    pub fn name(self) -> &'static str {
        match self {
            Self::EfficientnetB0 => "efficientnet_b0",
            Self::EfficientnetB1 => "efficientnet_b1",
            Self::EfficientnetB2 => "efficientnet_b2",
            Self::EfficientnetB3 => "efficientnet_b3",
            Self::EfficientnetB4 => "efficientnet_b4",
            Self::EfficientnetB5 => "efficientnet_b5",
            Self::EfficientnetB6 => "efficientnet_b6",
            Self::EfficientnetB7 => "efficientnet_b7",
            Self::EfficientnetV2S => "efficientnet_v2_s",
            Self::MobilenetV2 => "mobilenet_v2",
            Self::MobilenetV3Small => "mobilenet_v3_small",
            Self::MobilenetV3Large => "mobilenet_v3_large",
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet101 => "resnet101",
            Self::Squeezenet11 => "squeezenet1_1",
            Self::ConvnextTiny => "convnext_tiny",
            Self::VitB16 => "vit_b_16",
        }
    }

    fn network(self) -> Result<Network, Failure> {
        network(self.name()).ok_or_else(|| Failure::new("pipe::internal", format!("no table for {}", self.name())))
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
    fn of(self, naming: Naming) -> pipe_network::Variant {
        match (self, naming) {
            (Self::Torchvision, _) | (Self::Auto, Naming::Torchvision) => pipe_network::Variant::Torchvision,
            (Self::Timm, _) | (Self::Auto, Naming::Timm) => pipe_network::Variant::Timm,
            (Self::Tensorflow, _) => pipe_network::Variant::Tensorflow,
        }
    }
}

/// Where weights come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum WeightsFrom {
    /// Chance.
    Random,
    /// A file.
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
    const VERSION: u32 = 2;
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
        let (weights, naming) = match &self.weights {
            WeightsFrom::Random => (Weights::random(&network, u64::from(self.seed)), Naming::Torchvision),
            WeightsFrom::File(file) => Weights::read(file.path(), &network).map_err(|error| unusable(&error, file))?,
        };
        let network = network.variant(self.variant.of(naming));
        if matches!((&self.weights, &self.normalize), (WeightsFrom::File(_), Normalize::None)) {
            job.note(UNNORMALISED.to_owned());
        }
        let device = device::resolve(job.device)?;
        let (mean, std) = self.normalize.mean_and_std();
        let scaling = Scaling::new(mean, std);
        if device == ComputeDevice::Cpu {
            return Ok(Box::new(OnCpu::new(network, weights, scaling)));
        }
        job.note(format!("on {device}"));
        Ok(Box::new(OnGpu::new(&network, &weights, device, scaling)))
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
            "backbone": {
                "model": self.model, "weights": weights, "variant": self.variant, "mean": mean, "std": std,
            },
        }))
    }
}

fn read(file: &FilePath) -> Result<Vec<u8>, Failure> {
    std::fs::read(file.path()).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &FilePath, error: &std::io::Error) -> Failure {
    Failure::new("pipe::file_not_found", format!("cannot read {}: {error}", file.path().display())).param("weights")
}

fn unusable(error: &WeightsError, file: &FilePath) -> Failure {
    let (code, message, help) = match error {
        WeightsError::Io(error) => return unreadable(file, error),
        WeightsError::Hdf5 => (
            "pipe::weights",
            error.to_string(),
            "take the same weights from timm, which has Keras' as `tf_...` (then `variant: tensorflow`), or write \
             them as safetensors with torchvision's names",
        ),
        WeightsError::Format(_) => (
            "pipe::weights",
            format!("{}: {error}", file.path().display()),
            "safetensors files and what `torch.save` writes are read",
        ),
        WeightsError::Misfit { .. } => (
            "pipe::weights",
            error.to_string(),
            "see that `model` is the network that the weights were made for, with torchvision's or timm's names",
        ),
    };
    Failure::new(code, message).param("weights").help(help)
}

/// What becomes of each value of a pixel: `(value / 255 - mean) / std`, a table a channel.
#[derive(Debug, Clone)]
pub(super) struct Scaling([[f32; 256]; 3]);

impl Scaling {
    fn new(mean: [f32; 3], std: [f32; 3]) -> Self {
        let table = |channel: usize| std::array::from_fn(|value| (value as f32 / 255.0 - mean[channel]) / std[channel]);
        Self(std::array::from_fn(table))
    }

    /// One channel of a row of pixels, `rgb` one after another.
    pub(super) fn channel(&self, channel: usize, rgb: &[u8], out: &mut [f32]) {
        let table = &self.0[channel];
        for (pixel, out) in rgb.chunks_exact(3).zip(out) {
            *out = table[usize::from(pixel[channel])];
        }
    }
}
