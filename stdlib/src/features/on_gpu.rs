//! Features on GPUs: batches of one size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pipe_core::{ItemError, Load, Pace, Stage, Worker};
use pipe_network::Network;
use pipe_nn::{Backbone, ComputeDevice, DeviceFailure, PixelScale};

use super::encode_features;
use super::meter::Meter;
use crate::preprocess::Pixels;
use crate::watches::Watches;

/// One batch is on its way to a GPU while it computes another.
pub(super) const WORKERS: usize = 2;

/// A network on GPUs.
pub(super) struct OnGpu {
    network: Arc<Network>,
    backbones: Vec<Backbone>,
    scale: PixelScale,
    batch: usize,
    /// How many images a GPU takes at once: `batch`, until that is too many.
    fitting: Arc<AtomicUsize>,
    meter: Arc<Meter>,
    watches: Watches,
    /// Workers that were given out.
    workers: AtomicUsize,
}

impl OnGpu {
    /// A network that gets so many images at once on each of the devices that it lies on.
    pub(super) fn new(
        network: Network,
        backbones: Vec<(Backbone, ComputeDevice)>,
        batch: usize,
        scale: PixelScale,
    ) -> Self {
        let (backbones, devices): (Vec<_>, Vec<_>) = backbones.into_iter().unzip();
        Self {
            network: Arc::new(network),
            backbones,
            scale,
            batch,
            fitting: Arc::new(AtomicUsize::new(batch)),
            meter: Arc::default(),
            watches: Watches::start(&devices),
            workers: AtomicUsize::new(0),
        }
    }
}

impl Stage for OnGpu {
    fn pace(&self) -> Pace {
        Pace::Batches { size: self.batch, workers: WORKERS * self.backbones.len() }
    }

    fn worker(&self, _: usize) -> Box<dyn Worker> {
        let at = self.workers.fetch_add(1, Ordering::Relaxed) % self.backbones.len().max(1);
        Box::new(OneGpu {
            network: Arc::clone(&self.network),
            backbone: self.backbones[at].clone(),
            scale: self.scale,
            fitting: Arc::clone(&self.fitting),
            meter: Arc::clone(&self.meter),
        })
    }

    fn load(&self) -> Option<Load> {
        Some(self.watches.load(self.meter.waiting()?))
    }

    fn log(&self) -> Option<Vec<u8>> {
        let mut told = self.meter.told()?;
        let fitting = self.fitting.load(Ordering::Relaxed);
        if fitting < self.batch {
            told += &format!("{} images at once were too many for the memory, so {fitting} were taken\n", self.batch);
        }
        told += &self.watches.told();
        Some(told.into_bytes())
    }
}

struct OneGpu {
    network: Arc<Network>,
    backbone: Backbone,
    scale: PixelScale,
    fitting: Arc<AtomicUsize>,
    meter: Arc<Meter>,
}

impl Worker for OneGpu {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>> {
        let count = items.len();
        let images: Option<Vec<Pixels>> = items.iter().map(|item| Pixels::decode(item)).collect();
        let Some(images) = images else { return vec![Err("not an item of pixels".into()); count] };
        let Some(first) = images.first() else { return Vec::new() };
        if images.iter().any(|image| (image.width, image.height) != (first.width, first.height)) {
            return vec![Err("images of different sizes in one batch".into()); count];
        }
        if let Err(unfit) = self.network.check_image(first.height, first.width) {
            return vec![Err(unfit.to_string().into()); count];
        }
        match self.meter.of(count, || in_batches(&images, &self.fitting, |now, size| self.batch(now, size))) {
            Ok(features) => features.into_iter().map(Ok).collect(),
            Err(failure) => vec![Err(failure.to_string().into()); count],
        }
    }
}

/// What `compute` makes of images, in as many batches as the memory asks for. It is given images, and the size
/// that their batch is to have.
fn in_batches(
    images: &[Pixels],
    fitting: &AtomicUsize,
    compute: impl Fn(&[Pixels], usize) -> Result<Vec<Vec<u8>>, DeviceFailure>,
) -> Result<Vec<Vec<u8>>, DeviceFailure> {
    let mut out = Vec::with_capacity(images.len());
    while out.len() < images.len() {
        let size = fitting.load(Ordering::Relaxed).max(1);
        let now = &images[out.len()..images.len().min(out.len() + size)];
        match compute(now, size) {
            Ok(features) => out.extend(features),
            Err(DeviceFailure::OutOfMemory) if size > 1 => {
                // Another worker may have halved it meanwhile.
                let _ = fitting.compare_exchange(size, size / 2, Ordering::Relaxed, Ordering::Relaxed);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(out)
}

impl OneGpu {
    /// A batch of that size. The last one is filled up, so that shapes and with them kernels stay the same.
    fn batch(&self, images: &[Pixels], size: usize) -> Result<Vec<Vec<u8>>, DeviceFailure> {
        let (height, width) = images.first().map_or((0, 0), |image| (image.height, image.width));
        let mut pixels = Vec::with_capacity(size * height * width * 3);
        images.iter().for_each(|image| pixels.extend_from_slice(&image.rgb));
        pixels.resize(size * height * width * 3, 0);
        let features = self.backbone.features_of_pixels(&pixels, [size, height, width], &self.scale)?;
        let length = features.len() / size;
        if length == 0 {
            return Err(DeviceFailure::Other("it gave no features".to_owned()));
        }
        Ok(features.chunks_exact(length).take(images.len()).map(encode_features).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::in_batches;
    use crate::preprocess::Pixels;
    use pipe_nn::DeviceFailure;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn photos(count: usize) -> Vec<Pixels> {
        (0..count).map(|at| Pixels { width: 1, height: 1, rgb: vec![at as u8; 3] }).collect()
    }

    fn first(images: &[Pixels]) -> Vec<Vec<u8>> {
        images.iter().map(|image| vec![image.rgb[0]]).collect()
    }

    #[test]
    fn what_does_not_fit_is_halved_until_it_does_and_stays_so() {
        let fitting = AtomicUsize::new(16);
        let memory = |images: &[Pixels], size: usize| {
            if size > 5 { Err(DeviceFailure::OutOfMemory) } else { Ok(first(images)) }
        };
        assert_eq!(in_batches(&photos(10), &fitting, memory), Ok(first(&photos(10))));
        assert_eq!(fitting.load(Ordering::Relaxed), 4);
        let now_fits = |images: &[Pixels], size: usize| {
            assert!(size == 4 && images.len() <= 4);
            Ok(first(images))
        };
        assert_eq!(in_batches(&photos(6), &fitting, now_fits), Ok(first(&photos(6))));
    }

    #[test]
    fn where_one_image_does_not_fit_it_is_told() {
        let fitting = AtomicUsize::new(8);
        let nothing = |_: &[Pixels], _| Err(DeviceFailure::OutOfMemory);
        assert_eq!(in_batches(&photos(3), &fitting, nothing), Err(DeviceFailure::OutOfMemory));
        let broken = |_: &[Pixels], _| Err(DeviceFailure::Other("gone".to_owned()));
        assert_eq!(in_batches(&photos(3), &fitting, broken), Err(DeviceFailure::Other("gone".to_owned())));
    }
}
