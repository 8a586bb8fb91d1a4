//! Photos as they might have been taken too.

use fast_image_resize::Resizer;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::preprocess::{Filter, Pixels, stretch};

/// How often a part of a photo of a wanted area is looked for before all of it is taken, as in torchvision.
const TRIES: usize = 10;

/// What is done to photos of the train rows by chance, anew in each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirrors every second photo.
    pub flip: Flip,
    /// A part of the photo of at least this area (1 is all of it) and of a shape between 3:4 and 4:3 is
    /// brought to the photo's size: torchvision's `RandomResizedCrop`.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub crop: f64,
    /// Multiplies each photo's values with a factor between `1 - brightness` and `1 + brightness`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub brightness: f64,
}

/// Mirrors photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// Never.
    #[default]
    None,
    /// Left and right.
    Horizontal,
    /// Left and right, and top and bottom.
    Both,
}

impl Default for Augment {
    fn default() -> Self {
        Self { flip: Flip::None, crop: 1.0, brightness: 0.0 }
    }
}

impl Augment {
    /// One photo, changed.
    pub(super) fn apply(&self, mut photo: Pixels, random: &mut ChaCha8Rng) -> Result<Pixels, String> {
        if self.crop < 1.0
            && let Some(part) = self.part(&photo, random)
        {
            photo = stretch(&mut Resizer::new(), &part, photo.width, photo.height, Filter::Bilinear)?;
        }
        if self.flip != Flip::None && random.random::<bool>() {
            mirror(&mut photo);
        }
        if self.flip == Flip::Both && random.random::<bool>() {
            turn_over(&mut photo);
        }
        if self.brightness > 0.0 {
            let factor = 1.0 + self.brightness * (2.0 * random.random::<f64>() - 1.0);
            let bright = |value: u8| (f64::from(value) * factor).round().min(255.0) as u8;
            photo.rgb.iter_mut().for_each(|value| *value = bright(*value));
        }
        Ok(photo)
    }

    /// A part of a photo; `None` where none of the tries fits into it.
    fn part(&self, photo: &Pixels, random: &mut ChaCha8Rng) -> Option<Pixels> {
        let area = (photo.width * photo.height) as f64;
        let (low, high) = ((3.0_f64 / 4.0).ln(), (4.0_f64 / 3.0).ln());
        for _ in 0..TRIES {
            let wanted = area * (self.crop + (1.0 - self.crop) * random.random::<f64>());
            let ratio = (low + (high - low) * random.random::<f64>()).exp();
            let (width, height) = ((wanted * ratio).sqrt().round() as usize, (wanted / ratio).sqrt().round() as usize);
            if (1..=photo.width).contains(&width) && (1..=photo.height).contains(&height) {
                let (left, top) =
                    (random.random_range(0..=photo.width - width), random.random_range(0..=photo.height - height));
                return Some(cut(photo, left, top, width, height));
            }
        }
        None
    }
}

fn cut(photo: &Pixels, left: usize, top: usize, width: usize, height: usize) -> Pixels {
    let row = |y: usize| &photo.rgb[3 * ((top + y) * photo.width + left)..][..3 * width];
    Pixels { width, height, rgb: (0..height).flat_map(row).copied().collect() }
}

fn mirror(photo: &mut Pixels) {
    for row in photo.rgb.chunks_exact_mut(3 * photo.width.max(1)) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}

fn turn_over(photo: &mut Pixels) {
    photo.rgb = photo.rgb.chunks_exact(3 * photo.width.max(1)).rev().flatten().copied().collect();
}

#[cfg(test)]
mod tests {
    use super::{Augment, Flip, Pixels};
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use std::collections::BTreeSet;

    fn photo() -> Pixels {
        Pixels { width: 2, height: 2, rgb: vec![1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4] }
    }

    fn of(augment: Augment) -> BTreeSet<Vec<u8>> {
        let one = |seed| augment.apply(photo(), &mut ChaCha8Rng::seed_from_u64(seed)).unwrap().rgb;
        (0..64).map(one).collect()
    }

    #[test]
    fn mirrors_as_often_as_not() {
        let first = |all: BTreeSet<Vec<u8>>| all.into_iter().map(|rgb| rgb[0]).collect::<Vec<u8>>();
        assert_eq!(first(of(Augment::default())), [1]);
        assert_eq!(first(of(Augment { flip: Flip::Horizontal, ..Augment::default() })), [1, 2]);
        assert_eq!(first(of(Augment { flip: Flip::Both, ..Augment::default() })), [1, 2, 3, 4]);
    }

    #[test]
    fn parts_are_as_large_as_asked_for() {
        let augment = Augment { crop: 0.5, ..Augment::default() };
        let photo = Pixels { width: 40, height: 30, rgb: vec![7; 3 * 40 * 30] };
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..100 {
            let part = augment.part(&photo, &mut random).unwrap();
            let (area, ratio) = (part.width * part.height, part.width as f64 / part.height as f64);
            assert!((560..=1200).contains(&area), "{} x {}", part.width, part.height);
            assert!((0.7..=1.4).contains(&ratio), "{} x {}", part.width, part.height);
            let whole = augment.apply(photo.clone(), &mut random).unwrap();
            assert_eq!((whole.width, whole.height, whole.rgb.len()), (40, 30, 3 * 40 * 30));
        }
    }

    #[test]
    fn brightness_changes_all_values_alike() {
        for rgb in of(Augment { brightness: 0.5, ..Augment::default() }) {
            assert!(rgb[9] <= 6 && rgb[0] <= 2 && rgb[0] == rgb[1], "{rgb:?}");
        }
    }
}
