//! From the bytes of an image file to RGB pixels, the format told by the content.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::Pixels;

/// The most bytes that one decoded image may take.
const MAX_BYTES: u64 = 1 << 30;

/// Decodes an image; with `orient`, turned as its EXIF tag says; with a `background`, that colour is seen
/// through what is transparent. Of several frames the first.
pub(super) fn decode(bytes: &[u8], orient: bool, background: Option<[u8; 3]>) -> Result<Pixels, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let format = image::guess_format(bytes).map_err(|_| not_an_image(bytes))?;
    let (image, orientation) = match format {
        ImageFormat::Jpeg => jpeg(bytes)?,
        format => other(bytes, format, background)?,
    };
    let mut image = DynamicImage::ImageRgb8(image);
    if orient {
        image.apply_orientation(orientation);
    }
    let image = image.into_rgb8();
    Ok(Pixels { width: image.width() as usize, height: image.height() as usize, rgb: image.into_raw() })
}

/// Strict, since a lenient decoder fills what a truncated file lacks with grey.
fn jpeg(bytes: &[u8]) -> Result<(RgbImage, Orientation), String> {
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let broken = |error: DecodeErrors| format!("broken JPEG: {}", format!("{error:?}").trim_matches('"'));
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or("broken JPEG: no size")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    refuse_giant(width, height)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let pixels = decoder.decode().map_err(broken)?;
    let image = RgbImage::from_raw(width, height, pixels).ok_or("broken JPEG: not RGB")?;
    Ok((image, orientation.unwrap_or(Orientation::NoTransforms)))
}

fn other(bytes: &[u8], format: ImageFormat, background: Option<[u8; 3]>) -> Result<(RgbImage, Orientation), String> {
    let name = format.extensions_str().first().copied().unwrap_or("image").to_uppercase();
    let broken = |error| format!("broken {name}: {error}");
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    refuse_giant(width, height)?;
    // Decoding straight from a decoder does not look at `max_alloc`.
    limits.reserve(decoder.total_bytes()).map_err(broken)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    let image = match background {
        Some(background) if image.color().has_alpha() => flattened(&image.into_rgba8(), background),
        _ => image.into_rgb8(),
    };
    Ok((image, orientation))
}

/// What is seen of an image over a colour.
fn flattened(image: &RgbaImage, background: [u8; 3]) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u32::from);
        let over = |above: u32, below: u8| {
            let sum = above * alpha + u32::from(below) * (255 - alpha);
            ((sum + 127) / 255) as u8
        };
        image::Rgb([over(red, background[0]), over(green, background[1]), over(blue, background[2])])
    })
}

fn refuse_giant(width: u32, height: u32) -> Result<(), String> {
    if u64::from(width) * u64::from(height) * 3 > MAX_BYTES {
        return Err(format!("{width}x{height} pixels are too many"));
    }
    Ok(())
}

fn not_an_image(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(512)];
    let is_text = std::str::from_utf8(start).is_ok_and(|text| !text.contains('\0'));
    if is_text { "not an image: it holds text".into() } else { "not an image of a known format".into() }
}
