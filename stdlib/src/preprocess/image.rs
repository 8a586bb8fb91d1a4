//! `preprocess.image`.

use std::borrow::Cow;

use fast_image_resize::Resizer;
use pipe_core::{Demand, Failure, ItemError, Job, Kind, Map, Meta, OnError, Stage, Worker};
use pipe_spec::types;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Pixels;
use super::decode::{self, Reading};
use super::preset::Preset;
use super::resize::{self, Filter, Fit, contain, cover, stretch};

/// Decodes each photo and brings it to one size.
///
/// The format is told by the content, whatever the name: JPEG, PNG, WebP, GIF, BMP or TIFF. The
/// result is RGB with 8 bits a channel. A file whose pixels are not all there is an error, never half a photo.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct PreprocessImage {
    /// Width and height of the result in pixels.
    pub size: u32,
    /// How a pixel is made from those around it.
    pub filter: Filter,
    /// What to do about photos that are not square.
    pub fit: Fit,
    /// With [`Fit::Cover`], the part of the shorter side that is kept.
    pub crop_pct: f64,
    /// Whether photos are turned as their EXIF tag says.
    pub orientation: Orient,
    /// Colours as they are, or their brightness alone.
    pub color: Color,
    /// The colour behind what is transparent, and around the photo with [`Fit::Contain`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<[u8; 3]>,
    /// Whether large JPEGs are decoded at a part of their size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dct_scaling: bool,
    /// What to do with a file that cannot be decoded.
    pub on_error: OnError,
}

/// Decodes each photo and brings it to one size.
///
/// The format is told by the content, whatever the name: JPEG, PNG, WebP, GIF, BMP or TIFF. The
/// result is RGB with 8 bits a channel. A file whose pixels are not all there is an error, never half a photo.
// The params as they are written: a preset says what the others are where they are not.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// Images as published weights expect them: `torchvision/resnet50`, `timm/resnet50.a1_in1k`, with what
    /// `pipe models` lists, or `keras/imagenet` as Keras' generators make them. It decides `size`,
    /// `filter`, `fit` and `crop_pct` where they are not written beside it.
    preset: Option<Preset>,
    /// Width and height of the result in pixels; 224 without a preset.
    #[schemars(range(min = 1, max = 4096))]
    size: Option<u32>,
    /// How a pixel is made from those around it; `bilinear` without a preset.
    filter: Option<Filter>,
    /// What to do about photos that are not square; `stretch` without a preset.
    fit: Option<Fit>,
    /// With `fit: cover`, the part of the shorter side that is kept: 0.875 resizes to 256 for a
    /// `size` of 224, as timm and torchvision count; 1 without a preset.
    #[schemars(range(min = 0.1, max = 1.0))]
    crop_pct: Option<f64>,
    /// Whether photos are turned as their EXIF tag says.
    orientation: Orient,
    /// Colours as they are, or their brightness alone.
    color: Color,
    /// The colour behind what is transparent, and around the photo with `fit: contain`: red, green and
    /// blue in 0..=255. Without one, transparency is ignored and the border is black.
    background: Option<[u8; 3]>,
    /// Whether a JPEG of at least twice the size that is wanted is decoded at a half, a quarter or an
    /// eighth of its size: faster, and a little different, as with Pillow's `draft`.
    dct_scaling: bool,
    /// What to do with a file that cannot be decoded.
    on_error: OnError,
}

impl From<Written> for PreprocessImage {
    fn from(written: Written) -> Self {
        let given = written.preset.map(|preset| preset.given()).unwrap_or_default();
        let fit = written.fit.unwrap_or(given.fit);
        // A preset's crop goes with its fit.
        let crop_pct = if fit == given.fit { given.crop_pct } else { 1.0 };
        Self {
            size: written.size.unwrap_or(given.size),
            filter: written.filter.unwrap_or(given.filter),
            fit,
            crop_pct: written.crop_pct.unwrap_or(crop_pct),
            orientation: written.orientation,
            color: written.color,
            background: written.background,
            dct_scaling: written.dct_scaling,
            on_error: written.on_error,
        }
    }
}

impl JsonSchema for PreprocessImage {
    fn schema_name() -> Cow<'static, str> {
        "PreprocessImage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

impl Default for PreprocessImage {
    fn default() -> Self {
        Written::default().into()
    }
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

    fn validate(&self) -> Result<(), Failure> {
        if self.fit == Fit::Cover || self.crop_pct == 1.0 {
            return Ok(());
        }
        let message = format!("`fit: {}` keeps the whole photo, so that nothing is cropped", self.fit.name());
        let failure = Failure::new("pipe::invalid_param", message).param("crop_pct");
        Err(failure.help("write `fit: cover` beside it, or leave it out"))
    }
}

impl Map for PreprocessImage {
    fn open(&self, _: &Meta, _: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        Ok(Box::new(self.clone()))
    }

    fn meta(&self, _: &Meta, _: &Job<'_>) -> Result<Meta, Failure> {
        Ok(Meta { json: json!({ "image": self }), ..Meta::default() })
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }
}

impl Stage for PreprocessImage {
    fn worker(&self, _: usize) -> Box<dyn Worker> {
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
        let PreprocessImage { size, filter, fit, crop_pct, orientation, color, background, dct_scaling, .. } =
            self.params;
        let size = size as usize;
        let side = (size as f64 / crop_pct).floor() as usize;
        // What the whole photo is resized to; the same whether it is turned before or afterwards.
        let wanted = |width, height| match fit {
            Fit::Stretch => (size, size),
            Fit::Cover => resize::covering(width, height, side),
            Fit::Contain => resize::contained(width, height, size),
        };
        let reading = Reading {
            orient: orientation == Orient::Exif,
            background,
            wanted: if dct_scaling { Some(&wanted) } else { None },
        };
        let mut pixels = decode::decode(bytes, &reading)?;
        if color == Color::Grey {
            pixels.make_grey();
        }
        match fit {
            Fit::Stretch => stretch(&mut self.resizer, &pixels, size, size, filter),
            Fit::Cover => cover(&mut self.resizer, &pixels, side, size, filter),
            Fit::Contain => contain(&mut self.resizer, &pixels, size, filter, background.unwrap_or_default()),
        }
    }
}
