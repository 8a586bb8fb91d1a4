//! Features on the CPU: one photo a core, and where there are fewer photos, several cores a photo.

use std::sync::{Arc, Mutex, PoisonError};

use pipe_core::{ItemError, Pace, Stage, Worker};
use pipe_cpu::{Isa, Plan};
use pipe_network::{Network, Weights};

use super::encode_features;
use super::normalize::Scaling;
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
}

/// The network, shared by the workers.
pub(super) struct OnCpu(Arc<Shared>);

impl OnCpu {
    pub(super) fn new(network: Network, weights: Weights, scaling: Scaling) -> Self {
        Self(Arc::new(Shared { network, weights, scaling, plan: Mutex::new(None) }))
    }
}

impl Stage for OnCpu {
    fn pace(&self) -> Pace {
        Pace::EveryCore
    }

    fn worker(&self, cores: usize) -> Box<dyn Worker> {
        Box::new(Computing { shared: Arc::clone(&self.0), cores, worker: None })
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
        items.iter().map(|item| self.features(item)).collect()
    }
}

impl Computing {
    fn features(&mut self, item: &[u8]) -> Result<Vec<u8>, ItemError> {
        let image = Pixels::decode(item).ok_or("not an item of pixels")?;
        let size = (image.height, image.width);
        if self.worker.as_ref().is_none_or(|worker| worker.size() != size) {
            self.worker = Some(pipe_cpu::Worker::new(self.shared.plan(image.height, image.width)?, self.cores));
        }
        let Some(worker) = &mut self.worker else { return Err("no worker".into()) };
        let row_bytes = 3 * image.width;
        let scaling = &self.shared.scaling;
        let features = worker.features(|channel, y, row| {
            scaling.channel(channel, &image.rgb[y * row_bytes..][..row_bytes], row);
        });
        Ok(encode_features(&features))
    }
}
