//! Resizing against Pillow and torchvision: `tests/reference/resize.py`.

use std::path::PathBuf;

use fast_image_resize::Resizer;
use serde_json::Value;

use super::Pixels;
use super::decode::{Reading, decode};
use super::resize::{Filter, contain, cover, stretch};

const UPRIGHT: Reading<'static> = Reading { orient: true, background: None, wanted: None };

fn photo(bytes: &[u8]) -> Result<Pixels, String> {
    decode(bytes, &UPRIGHT)
}

fn fixtures() -> PathBuf {
    // Cargo runs tests in their package's folder.
    PathBuf::from("../tests/reference/fixtures")
}

fn png(name: &str) -> Pixels {
    photo(&std::fs::read(fixtures().join("resize").join(name)).unwrap()).unwrap()
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

/// A file of `tests/reference/odd.py`.
fn odd(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join("odd").join(name)).unwrap()
}

fn odd_list() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("odd.json")).unwrap()).unwrap()
}

/// Equal to the pixels of a PNG, within `allowed`.
fn same(found: &Pixels, expected: &Value, allowed: u8, what: &str) {
    let expected = photo(&odd(expected.as_str().unwrap())).unwrap();
    assert_eq!((found.width, found.height), (expected.width, expected.height), "{what}");
    let worst = found.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst <= allowed, "{what}: off by {worst}");
}

#[test]
fn odd_files_give_pillows_pixels_or_are_refused() {
    let list = odd_list();
    for image in list["images"].as_array().unwrap() {
        let name = image["file"].as_str().unwrap();
        let found = photo(&odd(name));
        if image["refused"] == true {
            assert!(found.is_err(), "{name} is taken");
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        // Decoders of JPEG may round, and widen colours that were stored at half the size, differently.
        let allowed = match name {
            "jpeg-420.jpg" => 20,
            "webp-lossy.webp" => 8,
            name if name.starts_with("png-rgb-16") || name.starts_with("png-grey-16") => 1,
            _ if image["exact"] == true => 0,
            _ => 4,
        };
        let expected = if image["expected"].is_null() { &image["expected_high_byte"] } else { &image["expected"] };
        same(&found, expected, allowed, name);
        if !image["expected_on_white"].is_null() {
            let flattened = decode(&odd(name), &Reading { background: Some([255; 3]), ..UPRIGHT }).unwrap();
            same(&flattened, &image["expected_on_white"], 1, &format!("{name} on white"));
        }
    }
}

/// `tests/reference/magick.py`.
#[test]
fn files_of_imagemagick_give_pillows_pixels_or_are_refused() {
    let list: Value = serde_json::from_slice(&std::fs::read(fixtures().join("magick.json")).unwrap()).unwrap();
    let file = |name: &str| std::fs::read(fixtures().join("magick").join(name)).unwrap();
    let images = list["images"].as_array().unwrap();
    assert!(images.len() >= 40);
    let of = |name: &str| images.iter().find(|image| image["file"] == name).unwrap()["expected"].as_str().unwrap();
    for image in images {
        let name = image["file"].as_str().unwrap();
        let found = photo(&file(name));
        match name {
            "pnm.ppm" | "tga.tga" | "psd.psd" | "pcx.pcx" | "jp2.jp2" | "xpm.xpm" | "ico.ico" | "tiff-lab.tif" => {
                let error = found.err().unwrap_or_else(|| panic!("{name} is taken"));
                assert!(["not an image", "is not read", "does not support"].iter().any(|said| error.contains(said)));
                continue;
            }
            _ => {}
        }
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        let allowed = match name {
            // Colours that were stored at half the height are widened differently.
            "jpeg-440.jpg" => 8,
            "bmp-16-565.bmp" | "tiff-cmyk.tif" | "tiff-float.tif" | "tiff-grey-16.tif" => 1,
            _ if image["exact"] == true => 0,
            _ => 2,
        };
        // Pillow reads no floating-point colours, and clips grey of 16 bits rather than scale it.
        let expected = match name {
            "tiff-float.tif" => of("tiff-lzw.tif"),
            "tiff-grey-16.tif" => of("png-grey-alpha-16.png"),
            name => of(name),
        };
        let expected = photo(&file(expected)).unwrap();
        assert_eq!((found.width, found.height), (expected.width, expected.height), "{name}");
        let worst = found.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= allowed, "{name}: off by {worst}");
    }
}

/// `tests/reference/draft.py`.
#[test]
fn jpegs_at_a_part_of_their_size_are_pillows_drafts() {
    let file = |name: &str| std::fs::read(fixtures().join("draft").join(name)).unwrap();
    let list: Value = serde_json::from_slice(&std::fs::read(fixtures().join("draft.json")).unwrap()).unwrap();
    for draft in list.as_array().unwrap() {
        let (source, part) = (draft["source"].as_str().unwrap(), draft["part"].as_u64().unwrap() as usize);
        let expected = photo(&file(draft["expected"].as_str().unwrap())).unwrap();
        let wanted = |width: usize, height: usize| (width / part, height / part);
        let found = decode(&file(source), &Reading { wanted: Some(&wanted), ..UPRIGHT }).unwrap();
        assert_eq!((found.width, found.height), (expected.width, expected.height), "{source} / {part}");
        let off: Vec<u8> = found.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = off.iter().map(|off| f64::from(*off)).sum::<f64>() / off.len() as f64;
        // Colours stored at half the size are widened here, where Pillow decodes them at twice the part.
        let allowed = if source == "420.jpg" { 7.0 } else { 1.1 };
        assert!(mean < allowed, "{source} / {part}: off by {mean} on average");
        // What is wanted at more than half of the size is decoded whole.
        let almost = |width: usize, height: usize| (width / 2 + 2, height);
        let whole = decode(&file(source), &Reading { wanted: Some(&almost), ..UPRIGHT }).unwrap();
        assert_eq!(whole, photo(&file(source)).unwrap());
        // And half of the file is no image.
        let half = &file(source)[..file(source).len() / 2];
        assert!(decode(half, &Reading { wanted: Some(&wanted), ..UPRIGHT }).is_err(), "{source} cut in half is taken");
    }
}

#[test]
fn padding_and_grey_are_pillows() {
    let list = odd_list();
    for pad in list["pads"].as_array().unwrap() {
        let source = photo(&odd(pad["source"].as_str().unwrap())).unwrap();
        let color: [u8; 3] = serde_json::from_value(pad["color"].clone()).unwrap();
        let found = contain(&mut Resizer::new(), &source, 24, Filter::Bilinear, color).unwrap();
        same(&found, &pad["expected"], 1, pad["source"].as_str().unwrap());
    }
    for grey in list["greys"].as_array().unwrap() {
        let mut found = photo(&odd(grey["source"].as_str().unwrap())).unwrap();
        found.make_grey();
        same(&found, &grey["expected"], 0, "grey");
    }
}
