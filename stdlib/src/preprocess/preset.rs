//! Images as others make them.

use std::borrow::Cow;

use pipe_network::{KnownWeights, all_known_weights};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::resize::{Filter, Fit};

/// As Keras' `ImageDataGenerator` and `load_img` make images for ImageNet's networks.
const KERAS: &str = "keras/imagenet";

/// So many letters a name may be off to be taken for misspelt.
const MISSPELT: usize = 3;

/// Images as others make them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum Preset {
    Keras,
    Known(KnownWeights),
}

/// What a preset says of images; by default what holds without one.
pub(super) struct Given {
    pub(super) size: u32,
    pub(super) filter: Filter,
    pub(super) fit: Fit,
    pub(super) crop_pct: f64,
}

impl Default for Given {
    fn default() -> Self {
        Self { size: 224, filter: Filter::default(), fit: Fit::default(), crop_pct: 1.0 }
    }
}

impl Preset {
    pub(super) fn given(&self) -> Given {
        match self {
            Self::Keras => Given { filter: Filter::Nearest, ..Given::default() },
            Self::Known(known) => Given {
                size: known.size as u32,
                filter: if known.filter == "bicubic" { Filter::Bicubic } else { Filter::Bilinear },
                fit: Fit::Cover,
                crop_pct: known.crop,
            },
        }
    }
}

impl TryFrom<String> for Preset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == KERAS {
            return Ok(Self::Keras);
        }
        let known = all_known_weights().find(|known| known.full_name() == text);
        known.map(Self::Known).ok_or_else(|| unknown(&text))
    }
}

fn unknown(text: &str) -> String {
    let name = text.rsplit('/').next().unwrap_or_default();
    let is_near = |known: &KnownWeights| known.network == name || known.name.split('.').next() == Some(name);
    let near: Vec<String> =
        all_known_weights().filter(is_near).map(|known| format!("`{}`", known.full_name())).collect();
    if !near.is_empty() {
        return format!("there is no preset `{text}`; there is {}", near.join(" and "));
    }
    let names = all_known_weights().map(|known| known.full_name()).chain([KERAS.to_owned()]);
    let distance = |name: &String| strsim::damerau_levenshtein(text, name);
    match names.min_by_key(distance).filter(|nearest| distance(nearest) <= MISSPELT) {
        Some(nearest) => format!("there is no preset `{text}`; did you mean `{nearest}`?"),
        None => format!("there is no preset `{text}`; `{KERAS}` is one, and `pipe models NAME` shows a network's"),
    }
}

impl From<Preset> for String {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Keras => KERAS.to_owned(),
            Preset::Known(known) => known.full_name(),
        }
    }
}

impl JsonSchema for Preset {
    fn schema_name() -> Cow<'static, str> {
        "Preset".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
