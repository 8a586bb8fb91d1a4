//! From pixels to the numbers that a network takes.

use pipe_core::Failure;
use pipe_network::Normalization;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mean and standard deviation of ImageNet's pixels in 0..=1, as torchvision has them.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// What is equal within this is the same mean or standard deviation.
const EQUAL: f32 = 1e-3;

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
    /// The mean and the standard deviation of red, green and blue.
    pub(crate) fn mean_and_std(&self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::None => ([0.0; 3], [1.0; 3]),
            Self::Imagenet => IMAGENET,
            Self::Custom { mean, std } => (mean.map(|mean| mean as f32), std.map(|std| std as f32)),
        }
    }

    /// Refuses what cannot be meant of pixels in 0..=1.
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        let (mean, std) = self.mean_and_std();
        let refused = |param: &str, message: &str| Failure::new("pipe::invalid_param", message).param(param);
        if std.iter().any(|std| *std <= 0.0) {
            return Err(refused("normalize.std", "a standard deviation is not above 0"));
        }
        let (scaled, param) = (mean.iter().any(|mean| mean.abs() > 1.0), "normalize.mean");
        if scaled || std.iter().any(|std| *std > 1.0) {
            let param = if scaled { param } else { "normalize.std" };
            return Err(refused(param, "pixels are in 0..=1 here, they have been divided by 255 already")
                .help("divide the mean and the standard deviation by 255 too"));
        }
        Ok(())
    }

    /// Whether it is what weights expect.
    pub(super) fn is(&self, mean: [f32; 3], std: [f32; 3]) -> bool {
        let (own_mean, own_std) = self.mean_and_std();
        let pairs = own_mean.iter().zip(&mean).chain(own_std.iter().zip(&std));
        pairs.into_iter().all(|(own, other)| (own - other).abs() < EQUAL)
    }
}

/// As a pipeline has it: `imagenet`, or the numbers.
pub(super) fn written(mean: [f32; 3], std: [f32; 3]) -> String {
    if Normalize::Imagenet.is(mean, std) {
        return "imagenet".into();
    }
    if Normalize::None.is(mean, std) {
        return "none".into();
    }
    format!("{{ mean: {mean:?}, std: {std:?} }}")
}

/// The mean and the standard deviation that published weights expect.
pub(super) fn of_known(normalization: Normalization) -> ([f32; 3], [f32; 3]) {
    match normalization {
        Normalization::Imagenet => Normalize::Imagenet.mean_and_std(),
        Normalization::Half => ([0.5; 3], [0.5; 3]),
    }
}

/// What becomes of each value of a pixel: `(value / 255 - mean) / std`, a table a channel.
#[derive(Debug, Clone)]
pub(super) struct Scaling([[f32; 256]; 3]);

impl Scaling {
    pub(super) fn new(mean: [f32; 3], std: [f32; 3]) -> Self {
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
