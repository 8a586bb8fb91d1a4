//! From a file's bytes to pixels.

mod decode;
pub(crate) mod files;
pub(crate) mod image;
mod pixels;
mod resize;
#[cfg(test)]
mod tests;

pub(crate) use pixels::Pixels;
