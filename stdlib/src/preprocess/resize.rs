//! Pixels of one size from pixels of another, as Pillow makes them.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pixels;

/// How a pixel is made from those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Filter {
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
    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Nearest => ResizeAlg::Nearest,
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
        }
    }
}

/// To exactly that size, the aspect not kept.
pub(super) fn stretch(
    resizer: &mut Resizer,
    from: &Pixels,
    width: usize,
    height: usize,
    filter: Filter,
) -> Result<Pixels, String> {
    if (from.width, from.height) == (width, height) {
        return Ok(from.clone());
    }
    let failed = |error: String| format!("cannot resize: {error}");
    let side = |side: usize| u32::try_from(side).map_err(|error| failed(error.to_string()));
    let source = ImageRef::new(side(from.width)?, side(from.height)?, &from.rgb, PixelType::U8x3)
        .map_err(|error| failed(error.to_string()))?;
    let mut target = Image::new(side(width)?, side(height)?, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(filter.algorithm()).use_alpha(false);
    resizer.resize(&source, &mut target, &options).map_err(|error| failed(error.to_string()))?;
    Ok(Pixels { width, height, rgb: target.into_vec() })
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
    let (width, height) = if from.width <= from.height {
        (side, (side * from.height / from.width).max(1))
    } else {
        ((side * from.width / from.height).max(1), side)
    };
    Ok(crop(&stretch(resizer, from, width, height, filter)?, size))
}

/// The middle `size` x `size`; `from` is at least that large.
fn crop(from: &Pixels, size: usize) -> Pixels {
    let left = half_to_even(from.width - size);
    let top = half_to_even(from.height - size);
    let rows = (top..top + size).map(|y| (y * from.width + left) * 3);
    let rgb = rows.flat_map(|start| &from.rgb[start..start + size * 3]).copied().collect();
    Pixels { width: size, height: size, rgb }
}

/// Half of a gap, rounded as Python rounds.
fn half_to_even(gap: usize) -> usize {
    let half = gap / 2;
    half + usize::from(gap % 2 == 1 && half % 2 == 1)
}
