//! Features on a GPU: batches of one size.

use std::sync::Arc;

use pipe_core::{ItemError, Pace, Stage, Worker};
use pipe_nn::{Backbone, PixelScale};

use super::encode_features;
use super::meter::Meter;
use crate::preprocess::Pixels;

/// One batch is on its way to the GPU while it computes another.
pub(super) const WORKERS: usize = 2;

/// A network on a GPU. Clones share it.
#[derive(Clone)]
pub(super) struct OnGpu {
    backbone: Backbone,
    scale: PixelScale,
    batch: usize,
    meter: Arc<Meter>,
}

impl OnGpu {
    /// A network that gets so many images at once.
    pub(super) fn new(backbone: Backbone, batch: usize, scale: PixelScale) -> Self {
        Self { backbone, scale, batch, meter: Arc::default() }
    }
}

impl Stage for OnGpu {
    fn pace(&self) -> Pace {
        Pace::Batches { size: self.batch, workers: WORKERS }
    }

    fn worker(&self, _: usize) -> Box<dyn Worker> {
        Box::new(self.clone())
    }

    fn log(&self) -> Option<Vec<u8>> {
        self.meter.told().map(String::into_bytes)
    }
}

impl Worker for OnGpu {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>> {
        let count = items.len();
        let images: Option<Vec<Pixels>> = items.iter().map(|item| Pixels::decode(item)).collect();
        let Some(images) = images else { return vec![Err("not an item of pixels".into()); count] };
        let Some((width, height)) = images.first().map(|image| (image.width, image.height)) else { return Vec::new() };
        if images.iter().any(|image| (image.width, image.height) != (width, height)) {
            return vec![Err("images of different sizes in one batch".into()); count];
        }
        // The last batch is filled up, so that shapes and with them kernels stay the same.
        let batch = self.batch.max(count);
        let mut pixels = Vec::with_capacity(batch * height * width * 3);
        images.iter().for_each(|image| pixels.extend_from_slice(&image.rgb));
        pixels.resize(batch * height * width * 3, 0);
        let compute = || self.backbone.features_of_pixels(&pixels, [batch, height, width], &self.scale);
        let features = self.meter.of(count, compute);
        let length = features.len() / batch;
        if length == 0 {
            return vec![Err("the device gave no features".into()); count];
        }
        features.chunks_exact(length).take(count).map(|features| Ok(encode_features(features))).collect()
    }
}
