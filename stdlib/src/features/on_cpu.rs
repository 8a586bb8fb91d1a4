//! Features on the CPU: one photo a core, and where there are fewer photos, several cores a photo.

use std::sync::{Arc, Mutex, PoisonError};

use pipe_core::{ItemError, Pace, Stage, Worker};
use pipe_cpu::{Isa, Plan};
use pipe_network::{Network, Weights};

use super::encode_features;
use super::normalize::{Normalize, Scaling};
use crate::preprocess::Pixels;

/// A network with its weights.
struct Shared {
    network: Network,
    weights: Weights,
    scaling: Scaling,
    /// For the size of images that came last.
    plan: Mutex<Option<Arc<Plan>>>,
}

impl Shared {
    /// The plan for images of a size, made once.
    fn plan(&self, height: usize, width: usize) -> Result<Arc<Plan>, ItemError> {
        let mut last = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = last.as_ref().filter(|plan| plan.size() == (height, width)) {
            return Ok(Arc::clone(plan));
        }
        let plan = Plan::new(&self.network, &self.weights, height, width, Isa::best());
        let plan = Arc::new(plan.map_err(|unsupported| ItemError::from(unsupported.to_string()))?);
        *last = Some(Arc::clone(&plan));
        Ok(plan)
    }

    /// What the network makes of an image, with a worker that is made where there is none for that size.
    fn features(
        &self,
        image: &Pixels,
        worker: &mut Option<pipe_cpu::Worker>,
        cores: usize,
    ) -> Result<Vec<f32>, ItemError> {
        let (height, width) = (image.height, image.width);
        if worker.as_ref().is_none_or(|worker| worker.size() != (height, width)) {
            *worker = Some(pipe_cpu::Worker::new(self.plan(height, width)?, cores));
        }
        let Some(worker) = worker else { return Err("no worker".into()) };
        let row_bytes = 3 * width;
        Ok(worker.features(|channel, y, row| {
            self.scaling.channel(channel, &image.rgb[y * row_bytes..][..row_bytes], row);
        }))
    }
}

/// The network, shared by the workers.
pub(crate) struct OnCpu {
    shared: Arc<Shared>,
    /// Those of `OnCpu::features` that nobody uses now.
    idle: Mutex<Vec<pipe_cpu::Worker>>,
}

impl OnCpu {
    pub(crate) fn new(network: Network, weights: Weights, normalize: &Normalize) -> Self {
        let (mean, std) = normalize.mean_and_std();
        let shared = Shared { network, weights, scaling: Scaling::new(mean, std), plan: Mutex::default() };
        Self { shared: Arc::new(shared), idle: Mutex::default() }
    }

    /// Whether there are kernels for all of it, in images of that size.
    pub(crate) fn takes(&self, height: usize, width: usize) -> bool {
        self.shared.plan(height, width).is_ok()
    }

    /// What the network makes of an image, for a thread that brings no worker.
    pub(crate) fn features(&self, image: &Pixels) -> Result<Vec<f32>, ItemError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut worker = idle().pop();
        let features = self.shared.features(image, &mut worker, 1);
        idle().extend(worker);
        features
    }
}

impl Stage for OnCpu {
    fn pace(&self) -> Pace {
        Pace::EveryCore
    }

    fn worker(&self, cores: usize) -> Box<dyn Worker> {
        Box::new(Computing { shared: Arc::clone(&self.shared), cores, worker: None })
    }
}

/// A worker, for the size of images that came last.
struct Computing {
    shared: Arc<Shared>,
    cores: usize,
    worker: Option<pipe_cpu::Worker>,
}

impl Worker for Computing {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>> {
        let features = |item: Vec<u8>| {
            let image = Pixels::decode(&item).ok_or("not an item of pixels")?;
            Ok(encode_features(&self.shared.features(&image, &mut self.worker, self.cores)?))
        };
        items.into_iter().map(features).collect()
    }
}
