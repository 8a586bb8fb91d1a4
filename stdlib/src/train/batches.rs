//! Photos on their way into training: read, changed by chance and put together while the device works.

use pipe_core::{Failure, StoredItems};
use pipe_network::Network;
use pipe_nn::Images;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::augment::Augment;
use super::frozen::Frozen;
use crate::preprocess::Pixels;

/// The streams of chance beside those of the rows, which begin at 0.
const ORDER: u64 = u64::MAX;
const DROPOUT: u64 = u64::MAX - 1;

/// All that decides what the batches of an epoch are.
pub(super) struct Batches<'a> {
    pub(super) items: &'a StoredItems<'a>,
    /// The train rows, as numbers of items.
    pub(super) rows: &'a [usize],
    /// A class index for every item.
    pub(super) labels: &'a [usize],
    /// How much a row of each class counts.
    pub(super) class_weights: &'a [f32],
    pub(super) augment: Augment,
    pub(super) dropout: f64,
    pub(super) network: &'a Network,
    /// What makes maps of photos before they are put together.
    pub(super) frozen: Option<&'a Frozen>,
    pub(super) batch_size: usize,
    pub(super) seed: u64,
    pub(super) threads: usize,
}

/// Rows of one step.
pub(super) struct Batch {
    images: Numbers,
    /// Count, height, width.
    pub(super) size: [usize; 3],
    pub(super) labels: Vec<usize>,
    pub(super) weights: Vec<f32>,
    pub(super) dropout: Option<Vec<f32>>,
}

/// Pixels, or what frozen blocks made of them.
enum Numbers {
    Pixels(Vec<u8>),
    Maps(Vec<f32>),
}

impl Batch {
    pub(super) fn images(&self) -> Images<'_> {
        match &self.images {
            Numbers::Pixels(pixels) => Images::Pixels(pixels),
            Numbers::Maps(maps) => Images::Maps(maps),
        }
    }
}

impl Batches<'_> {
    /// How many steps an epoch has.
    pub(super) fn steps(&self) -> usize {
        self.rows.len().div_ceil(self.batch_size)
    }

    /// Gives the batches of an epoch to `take`, one after the other, until it says that it wants no more.
    pub(super) fn each(&self, epoch: usize, take: &mut dyn FnMut(Batch) -> bool) -> Result<(), Failure> {
        let mut order = self.rows.to_vec();
        order.shuffle(&mut self.chance(epoch, ORDER));
        let mut dropping = self.chance(epoch, DROPOUT);
        for rows in order.chunks(self.batch_size) {
            let photo = |at: usize, item: Vec<u8>| -> Result<(Pixels, Option<Vec<f32>>), String> {
                let pixels = Pixels::decode(&item).ok_or("not an item of pixels")?;
                let photo = self.augment.apply(pixels, &mut self.chance(epoch, rows[at] as u64))?;
                let maps = self.frozen.map(|frozen| frozen.maps(&photo)).transpose();
                Ok((photo, maps.map_err(|error| error.reason)?))
            };
            let photos: Result<Vec<_>, String> = self.items.map(rows, self.threads, photo)?.into_iter().collect();
            let photos = photos.map_err(|reason| Failure::new("pipe::data", reason))?;
            let (photos, maps): (Vec<Pixels>, Vec<Option<Vec<f32>>>) = photos.into_iter().unzip();
            let Some((height, width)) = photos.first().map(|photo| (photo.height, photo.width)) else { continue };
            if photos.iter().any(|photo| (photo.height, photo.width) != (height, width)) {
                return Err(Failure::new("pipe::data", "the images have different sizes")
                    .help("put `preprocess.image` before it"));
            }
            self.network.check_image(height, width).map_err(|unfit| {
                Failure::new("pipe::data", unfit.to_string())
                    .help("give the `preprocess.image` before it another `size`")
            })?;
            let ([height, width], images) = match self.frozen.and_then(|frozen| frozen.size(height, width)) {
                Some(size) => (size, Numbers::Maps(maps.into_iter().flatten().flatten().collect())),
                None => ([height, width], Numbers::Pixels(photos.into_iter().flat_map(|photo| photo.rgb).collect())),
            };
            let labels: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
            let batch = Batch {
                size: [rows.len(), height, width],
                images,
                weights: labels.iter().map(|&label| self.class_weights[label]).collect(),
                labels,
                dropout: self.factors(rows.len(), &mut dropping),
            };
            if !take(batch) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Chance that depends on the seed, the epoch and one more number, and on nothing else.
    fn chance(&self, epoch: usize, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed << 32 | epoch as u64);
        random.set_stream(stream);
        random
    }

    /// 0 for features that are dropped, and what makes up for them for the others.
    fn factors(&self, rows: usize, random: &mut ChaCha8Rng) -> Option<Vec<f32>> {
        let kept = (1.0 / (1.0 - self.dropout)) as f32;
        let factor = |_| if random.random::<f64>() < self.dropout { 0.0 } else { kept };
        (self.dropout > 0.0).then(|| (0..rows * self.network.features).map(factor).collect())
    }
}
