//! From the rows of a step to gradients.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use burn::backend::Autodiff;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{FloatDType, Tensor, TensorData};
use pipe_gpu::Products;
use pipe_network::{Conv, Network, Norm};

use super::entry::{Entries, Entry, Group, HEAD};
use super::{Images, Step, Tuning};
use crate::backbone::training_batch;
use crate::layer::{After, Convolution, Noted, Seen, apply};
use crate::loss::slopes;
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
    pub(super) entries: Entries,
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
    /// Of the tensors of each trained group.
    pub(super) gradients: [Vec<Tensor<B, 4>>; 2],
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
    pub(super) fn parts(&self, flats: &[Tensor<B, 1>; 4], step: &Step<'_>) -> Vec<Given<B>> {
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
            self.compute(flats, &part, total, &self.devices[at % self.devices.len()])
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
    fn compute(&self, flats: &[Tensor<B, 1>; 4], part: &Step<'_>, total: f32, device: &B::Device) -> Given<B> {
        type A<B> = Autodiff<B>;
        let [count, ..] = part.size;
        let noted: Noted<A<B>> = Arc::default();
        let live = Live {
            entries: &self.entries,
            flats: flats.each_ref().map(|flat| flat.clone().to_device(device)),
            rounded: Default::default(),
            leaves: RefCell::default(),
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
                self.tuning.precision.round(maps.permute([0, 3, 1, 2]))
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
        let slopes = slopes(given.clone(), part.labels) * shares;
        // What has them as its gradients: each number's own is 1.
        let gradients = (logits * Tensor::from_inner(slopes)).backward();
        let noted = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = |seen: Seen<A<B>>| Seen {
            norm: seen.norm,
            mean: seen.mean.inner(),
            variance: seen.variance.inner(),
            values: seen.values,
        };
        Given {
            gradients: Group::TRAINED.map(|group| live.gradients(group, &gradients)),
            logits: given,
            seen: noted.into_iter().map(seen).collect(),
        }
    }
}

/// A network's numbers as a part of a step sees them.
struct Live<'a, B: Operations> {
    entries: &'a Entries,
    /// The tensors of each group.
    flats: [Tensor<B, 1>; 4],
    /// Those in the numbers of maps, of the groups of which that was asked for.
    rounded: [OnceCell<Tensor<B, 1>>; 4],
    /// What was asked for.
    leaves: RefCell<Leaves<B>>,
    /// Where batch norms note what they saw, if they use it.
    noted: Option<Noted<Autodiff<B>>>,
    precision: Precision,
    products: Products,
}

/// What is differentiated by, by the number of its entry and the numbers that it is in.
type Leaves<B> = BTreeMap<(usize, Digits), Tensor<Autodiff<B>, 4>>;

/// In which numbers a tensor is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Digits {
    /// In `f32`, as it is kept.
    All,
    /// In those of maps.
    OfMaps,
}

impl<B: Operations> Live<'_, B> {
    /// The numbers of that name, in `f32`.
    fn exact<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<Autodiff<B>, D> {
        self.leaf(name, Digits::All, shape)
    }

    /// What is differentiated by, as such a shape.
    fn leaf<const D: usize>(&self, name: &str, digits: Digits, shape: [usize; D]) -> Tensor<Autodiff<B>, D> {
        let at = self.entries.find(name).unwrap_or_else(|| unreachable!("a network has its tensors: {name}"));
        let new = || {
            let entry = &self.entries.all[at];
            let group = entry.group as usize;
            let flat = match digits {
                Digits::All => &self.flats[group],
                Digits::OfMaps => self.rounded[group].get_or_init(|| self.precision.round(self.flats[group].clone())),
            };
            let leaf = Tensor::from_inner(self.entries.layout(entry.group).part(flat, entry.place));
            if entry.group.is_trained() { leaf.require_grad() } else { leaf }
        };
        let leaf = self.leaves.borrow_mut().entry((at, digits)).or_insert_with(new).clone();
        // Another shape is one more operation to be differentiated.
        if leaf.dims()[..] == shape[..] { Tensor::from_primitive(leaf.into_primitive()) } else { leaf.reshape(shape) }
    }

    /// Of the tensors of a group.
    fn gradients(&self, group: Group, gradients: &<Autodiff<B> as AutodiffBackend>::Gradients) -> Vec<Tensor<B, 4>> {
        let leaves = self.leaves.borrow();
        let entries = self.entries.all.iter().enumerate().filter(|(_, entry)| entry.group == group);
        let gradient = |(at, entry): (usize, &Entry)| {
            let of = |digits| leaves.get(&(at, digits)).and_then(|leaf| leaf.grad(gradients));
            match (of(Digits::All), of(Digits::OfMaps)) {
                (Some(one), Some(other)) => one + other.cast(FloatDType::F32),
                (Some(gradient), None) | (None, Some(gradient)) => gradient,
                (None, None) => self.entries.layout(group).part(&self.flats[group as usize], entry.place).zeros_like(),
            }
        };
        entries.map(gradient).collect()
    }

    /// Where a norm notes the statistics that it uses; `None` where it keeps those that it came with, as
    /// frozen ones do.
    fn noted(&self, norm: &Norm) -> Option<&Noted<Autodiff<B>>> {
        let weight = self.entries.find(&format!("{}.weight", norm.name));
        let is_trained = weight.is_some_and(|at| self.entries.all[at].group.is_trained());
        self.noted.as_ref().filter(|_| is_trained)
    }
}

impl<B: Operations> Parameters<Autodiff<B>> for Live<'_, B> {
    fn products(&self) -> Products {
        self.products
    }

    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<Autodiff<B>, D> {
        self.leaf(name, Digits::OfMaps, shape)
    }

    fn conv(&self, conv: &Conv) -> Convolution<Autodiff<B>> {
        let (name, shape, channels) = (format!("{}.weight", conv.name), conv.weight_shape(), conv.outputs);
        let (weight, after) = match (&conv.norm, conv.norm.as_ref().and_then(|norm| self.noted(norm))) {
            (None, _) => {
                let bias = self.tensor(&format!("{}.bias", conv.name), [1, channels, 1, 1]);
                (self.tensor(&name, shape), After::Shift(bias))
            }
            (Some(norm), Some(noted)) => {
                let part = |part: &str| self.exact(&format!("{}.{part}", norm.name), [1, channels, 1, 1]);
                let after = After::Norm([part("weight"), part("bias")], norm.clone(), Arc::clone(noted));
                (self.tensor(&name, shape), after)
            }
            (Some(norm), None) => {
                // The norm is folded into the weights here, where gradients pass through.
                let part = |part: &str| self.exact(&format!("{}.{part}", norm.name), [1, channels, 1, 1]);
                let scale = part("weight") / (part("running_var") + norm.epsilon).sqrt();
                let bias = part("bias") - part("running_mean") * scale.clone();
                let [outputs, inputs, height, width] = shape;
                let weight: Tensor<_, 4> = self.exact(&name, [1, outputs, inputs * height * width, 1]);
                let weight = Autodiff::<B>::weigh(weight, scale).reshape(shape);
                (self.precision.round(weight), After::Shift(self.precision.round(bias)))
            }
        };
        Convolution { conv: conv.clone(), weight, after, products: self.products() }
    }
}
