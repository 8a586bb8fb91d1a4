//! A frozen network at work on images.

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use pipe_core::{Failure, ItemError, Job, Meta, Pace, Stage, StoredItems};
use pipe_network::{Naming, Network, Weights};
use pipe_nn::{Backbone, ComputeDevice, PixelScale, Precision, batch_size};

use super::contract::Contract;
use super::model::Model;
use super::normalize::Normalize;
use super::on_cpu::OnCpu;
use super::on_gpu::{OnGpu, WORKERS};
use super::weights::WeightsFrom;

/// Names how many images a GPU gets at once, where what is made of its memory is wrong.
const BATCH: &str = "PIPE_GPU_BATCH";

/// A network with its weights on devices of one kind, for images of that side.
pub(crate) fn stage(
    network: Network,
    weights: Weights,
    normalize: &Normalize,
    precision: Precision,
    devices: &[ComputeDevice],
    side: usize,
) -> Result<Box<dyn Stage>, Failure> {
    if devices == [ComputeDevice::Cpu] {
        return Ok(Box::new(OnCpu::new(network, weights, normalize)));
    }
    let (mean, std) = normalize.mean_and_std();
    let memory = devices.iter().filter_map(|device| device.memory()).min();
    let batch = match wanted_batch()? {
        Some(batch) => batch,
        None => batch_size(&network, side, side, memory, WORKERS),
    };
    let on = |&device: &ComputeDevice| (Backbone::new(&network, &weights, device, precision), device);
    let backbones = devices.iter().map(on).collect();
    Ok(Box::new(OnGpu::new(network, backbones, batch, PixelScale { mean, std })))
}

fn wanted_batch() -> Result<Option<usize>, Failure> {
    let Some(text) = env::var_os(BATCH) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| (1..=65_536).contains(number));
    let wrong = || Failure::new("pipe::device", format!("{BATCH} is {text:?}, not a number in 1..=65536"));
    number.ok_or_else(wrong).map(Some)
}

/// The side of images that are made so, or that a network was made for.
pub(crate) fn side(images: &Meta, network: &Network) -> usize {
    images.json["image"]["size"].as_u64().map_or(network.input_size, |side| side as usize)
}

/// Tells where weights expect other images than they get.
pub(crate) fn warn(
    model: Model,
    weights: &WeightsFrom,
    naming: Naming,
    images: &Meta,
    normalize: &Normalize,
    job: &Job<'_>,
) {
    let contract = Contract::of(model.name(), weights, naming);
    if let Some(warning) = contract.and_then(|contract| contract.warning(&images.json["image"], normalize)) {
        job.note(warning);
    }
}

/// What a stage makes of stored items, in the order of `rows`.
pub(crate) fn run(
    stage: &dyn Stage,
    items: &StoredItems<'_>,
    rows: &[usize],
    job: &Job<'_>,
) -> Result<Vec<Vec<u8>>, Failure> {
    let (size, workers) = match stage.pace() {
        Pace::EveryCore => (1, job.threads.clamp(1, rows.len().max(1))),
        Pace::Batches { size, workers } => (size.max(1), workers.max(1)),
    };
    let batches: Vec<&[usize]> = rows.chunks(size).collect();
    let done: Mutex<Vec<Option<Vec<Vec<u8>>>>> = Mutex::new(vec![None; batches.len()]);
    let next = AtomicUsize::new(0);
    let compute = || -> Result<(), Failure> {
        let mut worker = stage.worker((job.threads / workers).max(1));
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(at) else { return Ok(()) };
            job.checkpoint()?;
            let items = items.map(batch, 1, |_, item| item)?;
            let out: Result<Vec<Vec<u8>>, ItemError> = worker.map(items).into_iter().collect();
            let out = out.map_err(|error| Failure::new("pipe::data", error.reason))?;
            done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(out);
        }
    };
    // Where one fails, the others begin nothing more.
    let work = || compute().inspect_err(|_| next.store(batches.len(), Ordering::Relaxed));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Failure::new("pipe::internal", "a thread panicked")))
        })
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().flatten().collect())
}
