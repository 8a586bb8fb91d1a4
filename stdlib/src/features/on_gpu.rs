//! Features on a GPU: batches of one size.

use pipe_core::{ItemError, Pace, Stage, Worker};
use pipe_network::{Network, Weights};
use pipe_nn::{Backbone, ComputeDevice};

use super::encode_features;
use super::normalize::Scaling;
use crate::preprocess::Pixels;

/// Images that a GPU gets at once.
const BATCH: usize = 64;

/// A network on a GPU. Clones share it.
#[derive(Clone)]
pub(super) struct OnGpu {
    backbone: Backbone,
    scaling: Scaling,
}

impl OnGpu {
    pub(super) fn new(network: &Network, weights: &Weights, device: ComputeDevice, scaling: Scaling) -> Self {
        Self { backbone: Backbone::new(network, weights, device), scaling }
    }
}

impl Stage for OnGpu {
    fn pace(&self) -> Pace {
        Pace::Batches { size: BATCH, workers: 1 }
    }

    fn worker(&self) -> Box<dyn Worker> {
        Box::new(self.clone())
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
        let batch = BATCH.max(count);
        let plane = width * height;
        let mut planes = vec![0.0; batch * 3 * plane];
        let each = images.iter().flat_map(|image| (0..3).map(move |channel| (image, channel)));
        for ((image, channel), out) in each.zip(planes.chunks_exact_mut(plane)) {
            self.scaling.channel(channel, &image.rgb, out);
        }
        let features = self.backbone.features(planes, batch, height, width);
        features
            .chunks_exact(features.len() / batch)
            .take(count)
            .map(|features| Ok(encode_features(features)))
            .collect()
    }
}
