//! What weights expect of images, held against what a pipeline feeds them.

use std::path::Path;

use pipe_network::{KnownWeights, Naming, known_weights};
use serde_json::Value;

use super::normalize::{Normalize, of_known, written};
use super::weights::WeightsFrom;
use crate::preprocess::{Fit, PreprocessImage};

/// The images that weights were trained on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contract {
    /// The weights, as a person calls them.
    weights: String,
    size: u64,
    filter: String,
    /// The part of the shorter side that is kept; `None` where several versions of the weights differ.
    crop_pct: Option<f64>,
    mean: [f32; 3],
    std: [f32; 3],
    /// What `preprocess.image` takes as `preset`.
    preset: Option<String>,
}

impl Contract {
    /// What weights expect, where that is known: of those of the hub by their name, of a file by the
    /// `config.json` that timm leaves beside it, else by whose names it has.
    pub(super) fn of(model: &str, weights: &WeightsFrom, naming: Naming) -> Option<Self> {
        let known = known_weights(model);
        match weights {
            WeightsFrom::Random => None,
            WeightsFrom::File(file) => Self::beside(file.path()).or_else(|| Self::usual(&known, naming)),
            WeightsFrom::Remote(remote) => {
                let named = remote.repository().and_then(|repository| repository.strip_prefix("timm/"));
                let exact = named.and_then(|name| known.iter().find(|known| known.name == name));
                exact.map(Self::exact).or_else(|| Self::usual(&known, naming))
            }
        }
    }

    fn exact(known: &KnownWeights) -> Self {
        let (mean, std) = of_known(known.normalization);
        Self {
            weights: known.full_name(),
            size: known.size as u64,
            filter: known.filter.to_owned(),
            crop_pct: Some(known.crop),
            mean,
            std,
            preset: Some(known.full_name()),
        }
    }

    /// What the usual weights of a library expect. Their versions differ in the crop.
    fn usual(known: &[KnownWeights], naming: Naming) -> Option<Self> {
        let known = known.iter().find(|known| known.library == naming)?;
        Some(Self { crop_pct: None, ..Self::exact(known) })
    }

    /// As timm writes it: `pretrained_cfg` of the `config.json` beside the weights.
    fn beside(weights: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(weights.with_file_name("config.json")).ok()?;
        let config: Value = serde_json::from_str(&text).ok()?;
        let of = &config["pretrained_cfg"];
        Some(Self {
            weights: config["architecture"].as_str()?.to_owned(),
            size: of["input_size"].get(2)?.as_u64()?,
            filter: of["interpolation"].as_str()?.to_owned(),
            crop_pct: of["crop_pct"].as_f64(),
            mean: serde_json::from_value(of["mean"].clone()).ok()?,
            std: serde_json::from_value(of["std"].clone()).ok()?,
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
            side("size", self.size.to_string(), image.size.to_string());
            side("filter", self.filter.clone(), image.filter.name().to_owned());
            side("fit", Fit::Cover.name().to_owned(), image.fit.name().to_owned());
            if let Some(crop) = self.crop_pct
                && image.fit == Fit::Cover
                && (crop - image.crop_pct).abs() > 1e-3
            {
                side("crop_pct", crop.to_string(), image.crop_pct.to_string());
            }
        }
        let is_of_image = !sides.is_empty();
        if !normalize.is(self.mean, self.std) {
            let (mean, std) = normalize.mean_and_std();
            let pair = (written(self.mean, self.std), written(mean, std));
            sides.push((format!("normalize {}", pair.0), format!("normalize {}", pair.1)));
        }
        if sides.is_empty() {
            return None;
        }
        let (expected, fed): (Vec<String>, Vec<String>) = sides.into_iter().unzip();
        let preset = self.preset.as_ref().filter(|_| is_of_image);
        let help = preset.map(|preset| format!("; `preset: {preset}` makes such images")).unwrap_or_default();
        Some(format!("warning: {} expects {}; it is fed {}{help}", self.weights, expected.join(", "), fed.join(", ")))
    }
}
