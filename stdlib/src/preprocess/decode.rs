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

/// What is read.
const READ: &str = "JPEG, PNG, WebP, GIF, BMP and TIFF";

/// How an image is to be decoded.
#[derive(Default, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Turned as its EXIF tag says.
    pub(super) orient: bool,
    /// The colour that is seen through what is transparent.
    pub(super) background: Option<[u8; 3]>,
    /// What an image of some width and height will be resized to: a JPEG of at least twice that size is
    /// decoded at a part of its own.
    pub(super) wanted: Option<&'a Wanted<'a>>,
}

type Wanted<'a> = dyn Fn(usize, usize) -> (usize, usize) + 'a;

/// Decodes an image; of several frames the first.
pub(super) fn decode(bytes: &[u8], reading: &Reading<'_>) -> Result<Pixels, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let format = image::guess_format(bytes).map_err(|_| not_an_image(bytes))?;
    let (image, orientation) = match format {
        ImageFormat::Jpeg => jpeg(bytes, reading)?,
        ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif | ImageFormat::Bmp | ImageFormat::Tiff => {
            other(bytes, format, reading.background)?
        }
        format => return Err(format!("{} is not read: {READ} are", name_of(format))),
    };
    let mut image = DynamicImage::ImageRgb8(image);
    if reading.orient {
        image.apply_orientation(orientation);
    }
    let image = image.into_rgb8();
    Ok(Pixels { width: image.width() as usize, height: image.height() as usize, rgb: image.into_raw() })
}

/// Strict, since a lenient decoder fills what a truncated file lacks with grey.
fn jpeg(bytes: &[u8], reading: &Reading<'_>) -> Result<(RgbImage, Orientation), String> {
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let broken = |error: DecodeErrors| format!("broken JPEG: {}", format!("{error:?}").trim_matches('"'));
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or("broken JPEG: no size")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    refuse_giant(width, height)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    if let Some(wanted) = reading.wanted
        && let Some(image) = scaled(bytes, info.width, info.height, wanted)?
    {
        return Ok((image, orientation));
    }
    let pixels = decoder.decode().map_err(broken)?;
    let image = RgbImage::from_raw(width, height, pixels).ok_or("broken JPEG: not RGB")?;
    Ok((image, orientation))
}

/// At an eighth, a quarter or a half of its size, the least that is not smaller than what is wanted: of
/// each 8 x 8 block only the low frequencies are decoded. `None` where that is the whole size, or where
/// only the whole can be decoded: of CMYK, of lossless files.
fn scaled(bytes: &[u8], width: u16, height: u16, wanted: &Wanted<'_>) -> Result<Option<RgbImage>, String> {
    let (least_width, least_height) = wanted(width.into(), height.into());
    let side = |side: u16, eighths: usize| (usize::from(side) * eighths).div_ceil(8);
    let fits = |eighths: &usize| side(width, *eighths) >= least_width && side(height, *eighths) >= least_height;
    let Some(eighths) = [1, 2, 4].into_iter().find(fits) else { return Ok(None) };
    let broken = |error: jpeg_decoder::Error| format!("broken JPEG: {error}");
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_BYTES as usize);
    let (width, height) = decoder.scale(side(width, eighths) as u16, side(height, eighths) as u16).map_err(broken)?;
    let pixels = match decoder.decode() {
        Err(jpeg_decoder::Error::Unsupported(_)) => return Ok(None),
        pixels => pixels.map_err(broken)?,
    };
    let pixels = match decoder.info().map(|info| info.pixel_format) {
        Some(jpeg_decoder::PixelFormat::RGB24) => pixels,
        Some(jpeg_decoder::PixelFormat::L8) => pixels.into_iter().flat_map(|grey| [grey; 3]).collect(),
        _ => return Ok(None),
    };
    Ok(RgbImage::from_raw(width.into(), height.into(), pixels))
}

fn other(bytes: &[u8], format: ImageFormat, background: Option<[u8; 3]>) -> Result<(RgbImage, Orientation), String> {
    let name = name_of(format);
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

fn name_of(format: ImageFormat) -> String {
    format.extensions_str().first().copied().unwrap_or("image").to_uppercase()
}

fn not_an_image(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(512)];
    let is_text = std::str::from_utf8(start).is_ok_and(|text| !text.contains('\0'));
    if is_text {
        "not an image: it holds text".into()
    } else {
        format!("not an image of a known format: {READ} are read")
    }
}
