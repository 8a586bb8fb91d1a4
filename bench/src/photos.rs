//! Trees of JPEGs as the pipelines want them.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::thread;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use sha1::{Digest, Sha1};

use crate::Failure;

/// Width and height in pixels.
const SIZE: (u32, u32) = (320, 240);

/// Writes `count` JPEGs that differ, from number `first` on, into `folder/objects`, and gives their
/// rows for label.csv.
pub(crate) fn write(folder: &Path, first: usize, count: usize) -> Result<Vec<String>, Failure> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = count.div_ceil(threads).max(1);
    let numbers: Vec<usize> = (first..first + count).collect();
    let rows: Result<Vec<Vec<String>>, String> = thread::scope(|scope| {
        let write = |part: &[usize]| part.iter().map(|&number| one(folder, number)).collect::<Result<Vec<_>, _>>();
        let parts: Vec<_> = numbers.chunks(part).map(|part| scope.spawn(move || write(part))).collect();
        parts.into_iter().map(|part| part.join().unwrap_or_else(|_| Err("a thread died".to_owned()))).collect()
    });
    Ok(rows?.concat())
}

fn one(folder: &Path, number: usize) -> Result<String, String> {
    let jpeg = jpeg(number as u32).map_err(|error| error.to_string())?;
    let name: String = Sha1::digest(&jpeg).iter().map(|byte| format!("{byte:02x}")).collect();
    let place = folder.join("objects").join(&name[..2]).join(&name[2..4]);
    fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    fs::write(place.join(format!("{name}.jpg")), jpeg).map_err(|error| error.to_string())?;
    Ok(format!("{name}.jpg,{}", number % 3 / 2))
}

/// A gradient with a disc and some grain: about as many bytes as a small photo.
fn jpeg(number: u32) -> image::ImageResult<Vec<u8>> {
    let mut grain = number.wrapping_mul(2_654_435_761) | 1;
    let (cx, cy) = (60 + number % 200, 40 + number / 200 % 160);
    let image = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        grain ^= grain << 13;
        grain ^= grain >> 17;
        grain ^= grain << 5;
        let noise = (grain >> 27) as u8;
        let inside = x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) < 40 * 40;
        let base = if inside { [200, (number % 256) as u8, 60] } else { [(x / 2) as u8, y as u8, 120] };
        Rgb(base.map(|value: u8| value.saturating_add(noise)))
    });
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(&image)?;
    Ok(bytes.into_inner())
}

/// Writes label.csv.
pub(crate) fn table(folder: &Path, rows: &[String]) -> Result<(), Failure> {
    fs::write(folder.join("label.csv"), format!("objectId,value\n{}\n", rows.join("\n")))?;
    Ok(())
}

/// Where the file of a row lies.
pub(crate) fn object(folder: &Path, row: &str) -> std::path::PathBuf {
    let name = row.split(',').next().unwrap_or(row);
    folder.join("objects").join(&name[..2]).join(&name[2..4]).join(name)
}
