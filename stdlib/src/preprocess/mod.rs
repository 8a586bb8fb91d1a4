//! From a file's bytes to pixels.

mod decode;
pub(crate) mod files;
mod image;
mod pixels;
mod preset;
mod resize;
#[cfg(test)]
mod tests;

pub use image::{Color, Orient, PreprocessImage};
pub(crate) use pixels::Pixels;
pub(crate) use resize::stretch;
pub use resize::{Filter, Fit};

/// The pixels of an image file as it is, turned as its EXIF says.
pub(crate) fn decode_photo(bytes: &[u8]) -> Result<Pixels, String> {
    decode::decode(bytes, &decode::Reading { orient: true, ..Default::default() })
}
