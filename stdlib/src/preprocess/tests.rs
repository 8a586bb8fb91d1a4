//! Resizing against Pillow and torchvision: `tests/reference/resize.py`.

use std::path::{Path, PathBuf};

use fast_image_resize::Resizer;
use serde_json::Value;

use super::Pixels;
use super::decode::decode;
use super::resize::{Filter, cover, stretch};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/fixtures")
}

fn png(name: &str) -> Pixels {
    decode(&std::fs::read(fixtures().join("resize").join(name)).unwrap(), true).unwrap()
}

#[test]
fn every_filter_equals_pillow_within_one() {
    let list: Value = serde_json::from_slice(&std::fs::read(fixtures().join("resize.json")).unwrap()).unwrap();
    let images = list["images"].as_array().unwrap();
    assert!(images.len() >= 10);
    for image in images {
        let text = |key: &str| image[key].as_str().unwrap();
        let number = |key: &str| image[key].as_u64().unwrap() as usize;
        let filter = match text("filter") {
            "nearest" => Filter::Nearest,
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            _ => Filter::Lanczos3,
        };
        let (source, expected) = (png(text("source")), png(text("file")));
        let mut resizer = Resizer::new();
        let found = match text("mode") {
            "stretch" => stretch(&mut resizer, &source, number("width"), number("height"), filter),
            _ => cover(&mut resizer, &source, number("resize"), number("width"), filter),
        };
        let found = found.unwrap();
        assert_eq!((found.width, found.height), (expected.width, expected.height));
        let worst = found.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let allowed = if filter == Filter::Nearest { 0 } else { 1 };
        assert!(worst <= allowed, "{}: off by {worst}", text("file"));
    }
}
