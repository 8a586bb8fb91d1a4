//! From the rows of a step to gradients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor, TensorData};
use pipe_gpu::Products;
use pipe_network::{Conv, Network, Norm};

use super::entry::{Entry, Group, HEAD};
use super::{Images, Step, Tuning};
use crate::backbone::training_batch;
use crate::layer::{After, Convolution, Noted, Seen, apply};
use crate::loss::losses;
use crate::operations::Operations;
use crate::parameters::Parameters;
use crate::{PixelScale, Precision, pixels};

/// All that decides how gradients are computed.
pub(super) struct Course<B: Operations> {
    pub(super) network: Network,
    pub(super) classes: usize,
    pub(super) features: usize,
    pub(super) scale: PixelScale,
    pub(super) tuning: Tuning,
    pub(super) devices: Vec<B::Device>,
    pub(super) parts: Parts,
    pub(super) products: Products,
    /// Those of the head, which is always in `f32`.
    pub(super) of_head: Products,
    pub(super) entries: Vec<Entry>,
}

/// How the rows of a step are cut into parts, whose gradients are added up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parts {
    /// Of so many rows.
    Rows(usize),
    /// As large as so many bytes of each device's memory allow.
    Memory(u64),
    /// One for each device.
    Devices,
}

/// What a part of a step's rows gave.
pub(super) struct Given<B: Backend> {
    /// Of every trained tensor, in the order of the entries.
    pub(super) gradients: Vec<Option<Tensor<B, 4>>>,
    pub(super) logits: Tensor<B, 2>,
    pub(super) seen: Vec<Seen<B>>,
}

impl<B: Operations> Course<B> {
    /// How many rows a part of a step has, of photos of that height and width.
    pub(super) fn part_of(&self, [rows, height, width]: [usize; 3]) -> usize {
        let even = rows.div_ceil(self.devices.len()).max(1);
        match self.parts {
            // Statistics are those of all rows that a device has.
            _ if self.tuning.batch_statistics => even,
            Parts::Rows(rows) => rows,
            Parts::Memory(memory) => even.min(training_batch(&self.network, height, width, memory)),
            Parts::Devices => even,
        }
    }

    /// Computes every part of a step, several side by side, and gives them in their order.
    pub(super) fn parts(&self, tensors: &[Tensor<B, 4>], step: &Step<'_>) -> Vec<Given<B>> {
        let [count, height, width] = step.size;
        let rows = self.part_of(step.size);
        let total: f32 = step.weights.iter().sum();
        let starts: Vec<usize> = (0..count).step_by(rows).collect();
        let compute = |at: usize| {
            let from = starts[at];
            let to = (from + rows).min(count);
            let part = Step {
                images: step.images.rows(from..to, count),
                size: [to - from, height, width],
                labels: &step.labels[from..to],
                weights: &step.weights[from..to],
                dropout: step.dropout.map(|factors| &factors[from * self.features..to * self.features]),
                lr: step.lr,
            };
            self.compute(tensors, &part, total, &self.devices[at % self.devices.len()])
        };
        // On a GPU a part may take half of the memory: one at a time.
        let workers = match self.parts {
            Parts::Rows(_) => self.tuning.threads.max(1),
            Parts::Memory(_) | Parts::Devices => self.devices.len(),
        };
        let workers = workers.min(starts.len());
        if workers == 1 {
            return (0..starts.len()).map(compute).collect();
        }
        let next = AtomicUsize::new(0);
        let done = Mutex::new(BTreeMap::new());
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= starts.len() {
                            return;
                        }
                        let given = compute(at);
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, given);
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    /// The gradients of a part's share of the loss.
    fn compute(&self, tensors: &[Tensor<B, 4>], part: &Step<'_>, total: f32, device: &B::Device) -> Given<B> {
        type A<B> = Autodiff<B>;
        let [count, ..] = part.size;
        let leaf = |(entry, tensor): (&Entry, &Tensor<B, 4>)| {
            let tensor = Tensor::<A<B>, 4>::from_inner(tensor.clone().to_device(device));
            if entry.group == Group::Fixed { tensor } else { tensor.require_grad() }
        };
        let leaves: Vec<Tensor<A<B>, 4>> = self.entries.iter().zip(tensors).map(leaf).collect();
        let noted: Noted<A<B>> = Arc::default();
        let live = Live {
            places: self.entries.iter().enumerate().map(|(at, entry)| (entry.name.as_str(), at)).collect(),
            entries: &self.entries,
            leaves: &leaves,
            noted: self.tuning.batch_statistics.then(|| Arc::clone(&noted)),
            precision: self.tuning.precision,
            products: self.products,
        };
        let images = match part.images {
            Images::Pixels(pixels) => pixels::images(pixels, part.size, &self.scale, self.tuning.precision, device),
            Images::Maps(maps) => {
                let [_, height, width] = part.size;
                let shape = [count, height, width, maps.len() / (count * height * width)];
                let maps = Tensor::<A<B>, 4>::from_data(TensorData::new(maps.to_vec(), shape), device);
                live.rounded(maps.permute([0, 3, 1, 2]))
            }
        };
        let trunk = apply(&live.layers(&self.network.trunk), images);
        let features = apply(&live.layers(&self.network.head), trunk);
        let features = features.cast(FloatDType::F32).reshape([count, self.features]);
        let features = match part.dropout {
            Some(factors) => {
                let factors = TensorData::new(factors.to_vec(), [count, self.features]);
                features * Tensor::from_data(factors, device)
            }
            None => features,
        };
        let outputs = if self.classes == 2 { 1 } else { self.classes };
        let weight = live.exact(HEAD[0], [outputs, self.features]);
        let logits = A::<B>::dense(features, weight.transpose(), self.of_head) + live.exact(HEAD[1], [1, outputs]);
        let shares = part.weights.iter().map(|weight| weight / total).collect();
        let shares = Tensor::from_data(TensorData::new(shares, [count, 1]), device);
        let given = logits.clone().inner();
        let gradients = (losses(logits, part.labels, device) * shares).sum().backward();
        let noted = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = |seen: Seen<A<B>>| Seen {
            norm: seen.norm,
            mean: seen.mean.inner(),
            variance: seen.variance.inner(),
            values: seen.values,
        };
        Given {
            gradients: leaves.iter().map(|leaf| leaf.grad(&gradients)).collect(),
            logits: given,
            seen: noted.into_iter().map(seen).collect(),
        }
    }
}

/// A network's numbers as a part of a step sees them.
struct Live<'a, B: Operations> {
    /// Where each name's tensor lies among the leaves.
    places: BTreeMap<&'a str, usize>,
    entries: &'a [Entry],
    leaves: &'a [Tensor<Autodiff<B>, 4>],
    /// Where batch norms note what they saw, if they use it.
    noted: Option<Noted<Autodiff<B>>>,
    precision: Precision,
    products: Products,
}

impl<B: Operations> Live<'_, B> {
    /// The numbers of that name, in `f32`.
    fn exact<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<Autodiff<B>, D> {
        self.leaves[self.places[name]].clone().reshape(shape)
    }

    /// As the numbers of maps.
    fn rounded<const D: usize>(&self, tensor: Tensor<Autodiff<B>, D>) -> Tensor<Autodiff<B>, D> {
        self.precision.round(tensor)
    }

    /// Where a norm notes the statistics that it uses; `None` where it keeps those that it came with, as
    /// frozen ones do.
    fn noted(&self, norm: &Norm) -> Option<&Noted<Autodiff<B>>> {
        let weight = self.places[format!("{}.weight", norm.name).as_str()];
        self.noted.as_ref().filter(|_| self.entries[weight].group != Group::Fixed)
    }
}

impl<B: Operations> Parameters<Autodiff<B>> for Live<'_, B> {
    fn products(&self) -> Products {
        self.products
    }

    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<Autodiff<B>, D> {
        self.rounded(self.exact(name, shape))
    }

    fn conv(&self, conv: &Conv) -> Convolution<Autodiff<B>> {
        let weight: Tensor<_, 4> = self.exact(&format!("{}.weight", conv.name), conv.weight_shape());
        let channels = conv.outputs;
        let (weight, after) = match (&conv.norm, conv.norm.as_ref().and_then(|norm| self.noted(norm))) {
            (None, _) => (weight, After::Shift(self.tensor(&format!("{}.bias", conv.name), [1, channels, 1, 1]))),
            (Some(norm), Some(noted)) => {
                let part = |part: &str| self.exact(&format!("{}.{part}", norm.name), [1, channels, 1, 1]);
                (weight, After::Norm([part("weight"), part("bias")], norm.clone(), Arc::clone(noted)))
            }
            (Some(norm), None) => {
                // The norm is folded into the weights here, where gradients pass through.
                let part = |part: &str| self.exact(&format!("{}.{part}", norm.name), [1, channels, 1, 1]);
                let scale = part("weight") / (part("running_var") + norm.epsilon).sqrt();
                let bias = part("bias") - part("running_mean") * scale.clone();
                let [outputs, inputs, height, width] = conv.weight_shape();
                let weight = weight.reshape([1, outputs, inputs * height * width, 1]);
                let weight = Autodiff::<B>::weigh(weight, scale).reshape(conv.weight_shape());
                (weight, After::Shift(self.rounded(bias)))
            }
        };
        Convolution { conv: conv.clone(), weight: self.rounded(weight), after, products: self.products() }
    }
}
