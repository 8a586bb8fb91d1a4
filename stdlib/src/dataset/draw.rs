//! Draws images that look somewhat like photos of one object.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageResult};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// JPEG quality, 1..=100.
const QUALITY: u8 = 90;
/// How far a pixel's value strays, of 255.
const NOISE: f32 = 12.0;

/// The hues of classes one after another, in turns: the golden angle, which keeps any number apart.
const HUE_STEP: f32 = 0.382;

/// A JPEG of `size` x `size` pixels that shows an object of the class.
pub(super) fn photo(class: u32, size: u32, random: &mut ChaCha8Rng) -> ImageResult<Vec<u8>> {
    let mut between = |low: f32, high: f32| low + (high - low) * random.random::<f32>();
    let side = size as f32;
    let (x0, y0) = (between(0.4, 0.6) * side, between(0.4, 0.6) * side);
    let radius = between(0.28, 0.42) * side;
    let (sin, cos) = between(0.0, std::f32::consts::TAU).sin_cos();
    let hue = class as f32 * HUE_STEP + between(-0.08, 0.08);
    let object = colour(hue, between(0.5, 0.9), between(0.5, 0.9));
    let [from, to] = [(); 2].map(|()| colour(between(0.0, 1.0), between(0.0, 0.2), between(0.45, 0.85)));
    let slope = between(0.0, 1.0);
    let mut pixels = Vec::with_capacity((size * size * 3) as usize);
    for y in 0..size {
        for x in 0..size {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let (dx, dy) = ((x - x0) / radius, (y - y0) / radius);
            let (u, v) = (dx * cos - dy * sin, dx * sin + dy * cos);
            let mix = (slope * x + (1.0 - slope) * y) / side;
            // Light from above left, so that the object is not flat.
            let light = 1.0 - 0.25 * (dx + dy);
            for channel in 0..3 {
                let ground = from[channel] + (to[channel] - from[channel]) * mix;
                let value = if inside(class, u, v) { object[channel] * light } else { ground };
                let noise = NOISE * (random.random::<f32>() + random.random::<f32>() - 1.0);
                pixels.push((255.0 * value + noise).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(&pixels, size, size, ExtendedColorType::Rgb8)?;
    Ok(jpeg)
}

/// Whether a point is inside the class's shape, whose radius is 1.
fn inside(class: u32, u: f32, v: f32) -> bool {
    let (far, r) = (u.abs().max(v.abs()), u.hypot(v));
    match class {
        0 => r < 1.0,
        1 => far < 0.85,
        2 => v > -0.6 && v < 1.0 - 1.9 * u.abs(),
        3 => r < 1.0 && r > 0.55,
        4 => far < 1.0 && u.abs().min(v.abs()) < 0.28,
        _ => far < 1.0 && (v * 4.0).rem_euclid(2.0) < 1.0,
    }
}

/// Red, green and blue in 0..=1 of a hue in turns, a saturation and a value.
fn colour(hue: f32, saturation: f32, value: f32) -> [f32; 3] {
    [5.0, 3.0, 1.0].map(|offset| {
        let k = (offset + hue.rem_euclid(1.0) * 6.0).rem_euclid(6.0);
        value * (1.0 - saturation * k.min(4.0 - k).clamp(0.0, 1.0))
    })
}
