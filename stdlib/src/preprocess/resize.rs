//! Pixels of one size from pixels of another, as Pillow makes them.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pixels;

/// How a pixel is made from those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel, as Keras' ImageDataGenerator has it.
    Nearest,
    /// A triangle filter, widened when shrinking: torchvision's default.
    #[default]
    Bilinear,
    /// A Catmull-Rom spline (a = -0.5), widened when shrinking.
    Bicubic,
    /// A sinc with three lobes, widened when shrinking.
    Lanczos3,
}

impl Filter {
    /// Its name, as it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos3 => "lanczos3",
        }
    }

    /// The convolution; `None` for the nearest pixel, which is not one.
    fn convolution(self) -> Option<FilterType> {
        match self {
            Self::Nearest => None,
            Self::Bilinear => Some(FilterType::Bilinear),
            Self::Bicubic => Some(FilterType::CatmullRom),
            Self::Lanczos3 => Some(FilterType::Lanczos3),
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

impl Fit {
    /// Its name, as it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::Cover => "cover",
            Self::Contain => "contain",
        }
    }
}

/// To exactly that size, the aspect not kept.
pub(crate) fn stretch(
    resizer: &mut Resizer,
    from: &Pixels,
    width: usize,
    height: usize,
    filter: Filter,
) -> Result<Pixels, String> {
    if (from.width, from.height) == (width, height) {
        return Ok(from.clone());
    }
    let Some(convolution) = filter.convolution() else { return Ok(nearest(from, width, height)) };
    // What stands in between is as wide as the result and as high as the higher of the two.
    if width.saturating_mul(height.max(from.height)).saturating_mul(3) > MAX_BYTES {
        return Err(format!("cannot resize to {width}x{height} pixels: that is too many"));
    }
    // Across and then down, rounded in between, as Pillow does it.
    let across = pass(resizer, from, width, from.height, convolution)?;
    pass(resizer, &across, width, height, convolution)
}

/// The most bytes that one resized image may take.
const MAX_BYTES: usize = 1 << 30;

fn pass(
    resizer: &mut Resizer,
    from: &Pixels,
    width: usize,
    height: usize,
    filter: FilterType,
) -> Result<Pixels, String> {
    if (from.width, from.height) == (width, height) {
        return Ok(from.clone());
    }
    let failed = |error: String| format!("cannot resize to {width}x{height} pixels: {error}");
    let side = |side: usize| u32::try_from(side).map_err(|error| failed(error.to_string()));
    let source = ImageRef::new(side(from.width)?, side(from.height)?, &from.rgb, PixelType::U8x3)
        .map_err(|error| failed(error.to_string()))?;
    let mut target = Image::new(side(width)?, side(height)?, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    resizer.resize(&source, &mut target, &options).map_err(|error| failed(error.to_string()))?;
    Ok(Pixels { width, height, rgb: target.into_vec() })
}

/// The pixel under the centre of each new one. The places are summed up as Pillow sums them
/// (`ImagingScaleAffine`), since rounding decides where a centre lies on an edge.
fn nearest(from: &Pixels, width: usize, height: usize) -> Pixels {
    let places = |old: usize, new: usize| -> Vec<usize> {
        let scale = old as f64 / new as f64;
        let centres = std::iter::successors(Some(scale * 0.5), |centre| Some(centre + scale));
        centres.take(new).map(|centre| (centre as usize).min(old - 1)).collect()
    };
    let columns = places(from.width, width);
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in places(from.height, height) {
        for x in &columns {
            let start = (y * from.width + x) * 3;
            rgb.extend_from_slice(&from.rgb[start..start + 3]);
        }
    }
    Pixels { width, height, rgb }
}

/// The shorter side to `side`, the aspect kept, then the middle `size` x `size`: what torchvision's
/// `Resize(side)` and `CenterCrop(size)` do, the longer side rounded down.
pub(super) fn cover(
    resizer: &mut Resizer,
    from: &Pixels,
    side: usize,
    size: usize,
    filter: Filter,
) -> Result<Pixels, String> {
    let (width, height) = covering(from.width, from.height, side);
    Ok(crop(&stretch(resizer, from, width, height, filter)?, size))
}

/// The size at which the shorter side is `side`.
pub(super) fn covering(width: usize, height: usize, side: usize) -> (usize, usize) {
    if width <= height { (side, (side * height / width).max(1)) } else { ((side * width / height).max(1), side) }
}

/// The size at which the longer side is `size`.
pub(super) fn contained(width: usize, height: usize, size: usize) -> (usize, usize) {
    let shorter = |short: usize, long: usize| rounded(short * size, long).max(1);
    if width >= height { (size, shorter(height, width)) } else { (shorter(width, height), size) }
}

/// The middle `size` x `size`; `from` is at least that large.
fn crop(from: &Pixels, size: usize) -> Pixels {
    let left = half_to_even(from.width - size);
    let top = half_to_even(from.height - size);
    let rows = (top..top + size).map(|y| (y * from.width + left) * 3);
    let rgb = rows.flat_map(|start| &from.rgb[start..start + size * 3]).copied().collect();
    Pixels { width: size, height: size, rgb }
}

/// The longer side to `size`, the aspect kept, in the middle of a `color`: Pillow's `ImageOps.pad`.
pub(super) fn contain(
    resizer: &mut Resizer,
    from: &Pixels,
    size: usize,
    filter: Filter,
    color: [u8; 3],
) -> Result<Pixels, String> {
    let (width, height) = contained(from.width, from.height, size);
    let inner = stretch(resizer, from, width, height, filter)?;
    let (left, top) = (half_to_even(size - width), half_to_even(size - height));
    let mut rgb: Vec<u8> = color.repeat(size * size);
    for (y, row) in inner.rgb.chunks_exact(width * 3).enumerate() {
        let at = ((top + y) * size + left) * 3;
        rgb[at..at + row.len()].copy_from_slice(row);
    }
    Ok(Pixels { width: size, height: size, rgb })
}

/// `above / below`, rounded as Python rounds.
fn rounded(above: usize, below: usize) -> usize {
    let (whole, rest) = (above / below, above % below);
    let is_more = 2 * rest > below || (2 * rest == below && whole % 2 == 1);
    whole + usize::from(is_more)
}

/// Half of a gap, rounded as Python rounds.
fn half_to_even(gap: usize) -> usize {
    rounded(gap, 2)
}
