//! The networks by their names.

use pipe_core::Failure;
use pipe_network::{Network, network};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

    pub(crate) fn network(self) -> Result<Network, Failure> {
        network(self.name()).ok_or_else(|| Failure::new("pipe::internal", format!("no table for {}", self.name())))
    }
}
