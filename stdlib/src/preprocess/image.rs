//! `preprocess.image`.

use fast_image_resize::Resizer;
use pipe_core::{Demand, Failure, ItemError, Job, Kind, Map, OnError, Stage, Worker};
use pipe_spec::types;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resize::{Filter, contain, cover, stretch};
use super::{Pixels, decode};

/// Decodes each photo and brings it to one size.
///
/// The format is told by the content, whatever the name: JPEG, PNG, WebP, GIF, BMP or TIFF. The
/// result is RGB with 8 bits a channel. A file whose pixels are not all there is an error, never half a photo.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreprocessImage {
    /// Width and height of the result in pixels.
    #[schemars(range(min = 1, max = 4096))]
    pub size: u32,
    /// How a pixel is made from those around it.
    pub filter: Filter,
    /// What to do about photos that are not square.
    pub fit: Fit,
    /// With `fit: cover`, the part of the shorter side that is kept: 0.875 resizes to 256 for a
    /// `size` of 224, as timm and torchvision count.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub crop_pct: f64,
    /// Whether photos are turned as their EXIF tag says.
    pub orientation: Orient,
    /// Colours as they are, or their brightness alone.
    pub color: Color,
    /// The colour behind what is transparent, and around the photo with `fit: contain`: red, green and
    /// blue in 0..=255. Without one, transparency is ignored and the border is black.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<[u8; 3]>,
    /// What to do with a file that cannot be decoded.
    pub on_error: OnError,
}

impl Default for PreprocessImage {
    fn default() -> Self {
        Self {
            size: 224,
            filter: Filter::default(),
            fit: Fit::default(),
            crop_pct: 1.0,
            orientation: Orient::default(),
            color: Color::default(),
            background: None,
            on_error: OnError::default(),
        }
    }
}

/// What to do about photos that are not square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Resize both sides, the aspect not kept.
    #[default]
    Stretch,
    /// Resize the shorter side, the aspect kept, and cut out the middle.
    Cover,
    /// Resize the longer side, the aspect kept, and fill the border with `background`.
    Contain,
}

/// What is kept of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Red, green and blue.
    #[default]
    Rgb,
    /// Brightness (ITU-R BT.601), the same in all three channels.
    Grey,
}

/// Whether photos are turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Orient {
    /// As their EXIF tag says.
    #[default]
    Exif,
    /// Never.
    Ignore,
}

impl Kind for PreprocessImage {
    const NAME: &'static str = "preprocess.image";
    const VERSION: u32 = 1;
    type Inputs = types::Records;
    const INPUTS: &'static [&'static str] = &["records"];
    type Outputs = types::Images;
    const OUTPUTS: &'static [&'static str] = &["images"];
    const NOT_OF_ITEMS: &'static [&'static str] = &["on_error"];

    fn demand(&self) -> Demand {
        Demand::Cores
    }
}

impl Map for PreprocessImage {
    fn open(&self, _: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        Ok(Box::new(self.clone()))
    }

    fn meta(&self, _: &Value, _: &Job<'_>) -> Result<Value, Failure> {
        Ok(json!({ "image": self }))
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }
}

impl Stage for PreprocessImage {
    fn worker(&self) -> Box<dyn Worker> {
        Box::new(Decoder { params: self.clone(), resizer: Resizer::new() })
    }
}

struct Decoder {
    params: PreprocessImage,
    resizer: Resizer,
}

impl Worker for Decoder {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>> {
        items.iter().map(|item| Ok(self.photo(item)?.encode())).collect()
    }
}

impl Decoder {
    fn photo(&mut self, bytes: &[u8]) -> Result<Pixels, String> {
        let PreprocessImage { size, filter, fit, crop_pct, orientation, color, background, .. } = self.params;
        let mut pixels = decode::decode(bytes, orientation == Orient::Exif, background)?;
        if color == Color::Grey {
            pixels.make_grey();
        }
        let size = size as usize;
        match fit {
            Fit::Stretch => stretch(&mut self.resizer, &pixels, size, size, filter),
            Fit::Cover => {
                let side = (size as f64 / crop_pct).floor() as usize;
                cover(&mut self.resizer, &pixels, side, size, filter)
            }
            Fit::Contain => contain(&mut self.resizer, &pixels, size, filter, background.unwrap_or_default()),
        }
    }
}
