//! What weights expect of images, held against what a pipeline feeds them.

use std::path::Path;

use pipe_network::{KnownWeights, Library, Naming, known_weights};
use serde_json::Value;

use super::normalize::{Normalize, of_known, written};
use super::weights::WeightsFrom;
use crate::preprocess::{Fit, PreprocessImage};

/// The images that weights were trained on, as far as that is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contract {
    /// The weights, as a person calls them.
    weights: String,
    /// Length of a side, in pixels.
    size: Option<u64>,
    filter: Option<String>,
    fit: Option<Fit>,
    /// The part of the shorter side that is kept.
    crop_pct: Option<f64>,
    pixels: Normalized,
    /// What `preprocess.image` takes as `preset`.
    preset: Option<String>,
}

/// What is done to pixels in 0..=1.
#[derive(Debug, Clone, PartialEq)]
enum Normalized {
    By([f32; 3], [f32; 3]),
    /// A mean is taken away and they are divided; by what is not known.
    Somehow,
}

impl Contract {
    /// What weights expect, as far as it is known which they are: by their name on the hub, by the
    /// `config.json` that timm leaves beside a file, by their digest, which torchvision writes into the
    /// file's name. Of others, whose names their tensors have tells what they have in common.
    pub(super) fn of(model: &str, weights: &WeightsFrom, naming: Naming) -> Option<Self> {
        let known = known_weights(model);
        let by_digest =
            |text: &str| known.iter().find(|known| known.sha256.is_some_and(|digest| text.contains(digest)));
        let exact = match weights {
            WeightsFrom::Random => return None,
            WeightsFrom::File(file) => {
                let name = file.path().file_stem().unwrap_or_default().to_string_lossy();
                Self::beside(file.path()).or_else(|| by_digest(&name).map(Self::exact))
            }
            WeightsFrom::Remote(remote) => {
                let named = remote.repository().and_then(|repository| repository.strip_prefix("timm/"));
                let by_name = known.iter().find(|known| named == Some(known.name));
                by_name.or_else(|| by_digest(&remote.sha256()[..8])).map(Self::exact)
            }
        };
        exact.or_else(|| Self::common(&known, naming))
    }

    fn exact(known: &KnownWeights) -> Self {
        let (mean, std) = of_known(known.normalization);
        Self {
            weights: known.full_name(),
            size: Some(known.size as u64),
            filter: Some(known.filter.to_owned()),
            fit: Some(Fit::Cover),
            crop_pct: Some(known.crop),
            pixels: Normalized::By(mean, std),
            preset: Some(known.full_name()),
        }
    }

    /// What all published weights of a network expect whose tensors are called so. Those with timm's names
    /// are many and differ in all, but nearly all take normalised pixels.
    fn common(known: &[KnownWeights], naming: Naming) -> Option<Self> {
        if naming != Naming::Torchvision {
            return Some(Self {
                weights: "a network whose weights are called so".to_owned(),
                size: None,
                filter: None,
                fit: None,
                crop_pct: None,
                pixels: Normalized::Somehow,
                preset: None,
            });
        }
        let of_library: Vec<Self> =
            known.iter().filter(|known| known.library == Library::Torchvision).map(Self::exact).collect();
        let mut common = of_library.first()?.clone();
        for other in &of_library {
            common.size = common.size.filter(|size| other.size == Some(*size));
            common.filter = common.filter.filter(|filter| other.filter.as_ref() == Some(filter));
            common.crop_pct = common.crop_pct.filter(|crop| other.crop_pct == Some(*crop));
        }
        Some(common)
    }

    /// As timm writes it: `pretrained_cfg` of the `config.json` beside the weights.
    fn beside(weights: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(weights.with_file_name("config.json")).ok()?;
        let config: Value = serde_json::from_str(&text).ok()?;
        let of = &config["pretrained_cfg"];
        Some(Self {
            weights: config["architecture"].as_str()?.to_owned(),
            size: of["input_size"].get(2)?.as_u64(),
            filter: of["interpolation"].as_str().map(str::to_owned),
            fit: Some(Fit::Cover),
            crop_pct: of["crop_pct"].as_f64(),
            pixels: Normalized::By(
                serde_json::from_value(of["mean"].clone()).ok()?,
                serde_json::from_value(of["std"].clone()).ok()?,
            ),
            preset: None,
        })
    }

    /// What the weights expect and are not given, both sides named. `image` are the params of
    /// `preprocess.image`, `null` where the images come from elsewhere.
    pub(super) fn warning(&self, image: &Value, normalize: &Normalize) -> Option<String> {
        let mut sides: Vec<(String, String)> = Vec::new();
        let mut side = |name: &str, expected: String, fed: String| {
            if expected != fed {
                sides.push((format!("{name} {expected}"), format!("{name} {fed}")));
            }
        };
        if let Ok(image) = serde_json::from_value::<PreprocessImage>(image.clone()) {
            if let Some(size) = self.size {
                side("size", size.to_string(), image.size.to_string());
            }
            if let Some(filter) = &self.filter {
                side("filter", filter.clone(), image.filter.name().to_owned());
            }
            if let Some(fit) = self.fit {
                side("fit", fit.name().to_owned(), image.fit.name().to_owned());
            }
            if let Some(crop) = self.crop_pct
                && image.fit == Fit::Cover
                && (crop - image.crop_pct).abs() > 1e-3
            {
                side("crop_pct", crop.to_string(), image.crop_pct.to_string());
            }
        }
        let is_of_image = !sides.is_empty();
        let (mean, std) = normalize.mean_and_std();
        match self.pixels {
            Normalized::By(own_mean, own_std) if !normalize.is(own_mean, own_std) => {
                let pair = (written(own_mean, own_std), written(mean, std));
                sides.push((format!("normalize {}", pair.0), format!("normalize {}", pair.1)));
            }
            Normalized::Somehow if Normalize::None.is(mean, std) => {
                sides.push(("normalised pixels, `normalize: imagenet` most often".into(), "normalize none".into()));
            }
            _ => {}
        }
        if sides.is_empty() {
            return None;
        }
        let (expected, fed): (Vec<String>, Vec<String>) = sides.into_iter().unzip();
        let preset = self.preset.as_ref().filter(|_| is_of_image);
        let help = preset
            .map(|preset| format!("; `preset: {preset}` with nothing beside it makes such images"))
            .unwrap_or_default();
        Some(format!("warning: {} expects {}; it is fed {}{help}", self.weights, expected.join(", "), fed.join(", ")))
    }
}
