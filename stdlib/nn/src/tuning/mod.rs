//! A network with a head in training.
//!
//! A step's rows are cut into parts: on the CPU into small ones of one size, a thread each, whose
//! gradients are added in their order, so that the result does not depend on how many threads there
//! are; on GPUs into one for each.

mod course;
mod entry;
mod statistics;

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::cuda::CudaDevice;
use burn::backend::{Autodiff, Cuda, Flex};
use burn::module::{Module, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer, SgdConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use pipe_gpu::Products;
use pipe_network::{Network, Weights};

use self::course::{Course, Parts};
use self::entry::{Entry, Group, HEAD, entries, four};
use self::statistics::together;
use crate::failure::Moment;
use crate::layer::Seen;
use crate::loss::Sums;
use crate::operations::Operations;
use crate::{ComputeDevice, DeviceFailure, Head, PixelScale, Precision};

/// Rows of a part on the CPU.
const PART: usize = 8;
/// How much of a running statistic each step replaces, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// How weights follow gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Descent {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW {
        /// Decay of the running means of the gradient and of its square.
        betas: (f64, f64),
        /// Added to the denominator.
        eps: f64,
    },
    /// Stochastic gradient descent with this momentum, as PyTorch has it.
    Sgd {
        /// What stays of the last step, in 0..1.
        momentum: f64,
    },
}

/// How to train a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// The optimizer.
    pub descent: Descent,
    /// What is taken away of weights at each step, times the learning rate; biases and norms keep all.
    pub weight_decay: f64,
    /// Whether batch norms that are not frozen use the statistics of each step's rows, and learn from them.
    pub batch_statistics: bool,
    /// How many of the network's first blocks stay as they are.
    pub freeze: usize,
    /// The numbers of maps and their gradients; weights are kept in `f32`.
    pub precision: Precision,
    /// Threads at most, on the CPU.
    pub threads: usize,
}

/// Rows of one step.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// `[count, height, width, 3]`, row-major.
    pub pixels: &'a [u8],
    /// Count, height, width.
    pub size: [usize; 3],
    /// A class index a row.
    pub labels: &'a [usize],
    /// How much each row counts.
    pub weights: &'a [f32],
    /// Factors for the features, `[count, features]` row-major, where some are dropped.
    pub dropout: Option<&'a [f32]>,
    /// Learning rate.
    pub lr: f64,
}

/// A network with a head, in training on a device.
pub struct Tuner(Box<dyn Tune + Send>);

trait Tune {
    fn step(&mut self, step: &Step<'_>) -> Result<(), DeviceFailure>;
    fn seen(&mut self) -> Result<Option<(f64, f64)>, DeviceFailure>;
    fn weights(&self) -> Weights;
    fn head(&self) -> Head;
}

impl Tuner {
    /// Puts a network with its weights and a head on devices of one kind, each of which gets its share of
    /// every step's rows. None means the CPU.
    pub fn new(
        network: &Network,
        weights: &Weights,
        head: &Head,
        scale: PixelScale,
        tuning: &Tuning,
        devices: &[ComputeDevice],
    ) -> Self {
        let first = devices.first().copied().unwrap_or(ComputeDevice::Cpu);
        let parts = match (first, devices.iter().filter_map(|device| device.memory()).min()) {
            (ComputeDevice::Cpu, _) => Parts::Rows(PART),
            (_, Some(memory)) => Parts::Memory(memory),
            (_, None) => Parts::Devices,
        };
        let start = Start { network, weights, head, scale, tuning, products: first.products(tuning.precision), parts };
        match first {
            ComputeDevice::Cpu => Self(Box::new(Tuned::<Flex>::new(start, vec![Default::default()]))),
            ComputeDevice::Cuda(_) => {
                let of = |device: &ComputeDevice| match device {
                    ComputeDevice::Cuda(number) => Some(CudaDevice::new(*number)),
                    _ => None,
                };
                Self(Box::new(Tuned::<Cuda>::new(start, devices.iter().filter_map(of).collect())))
            }
            #[cfg(feature = "wgpu")]
            ComputeDevice::Wgpu(_) => {
                let of = |device: &ComputeDevice| match device {
                    ComputeDevice::Wgpu(adapter) => Some(adapter.device()),
                    _ => None,
                };
                Self(Box::new(Tuned::<Wgpu>::new(start, devices.iter().filter_map(of).collect())))
            }
        }
    }

    /// Learns from rows.
    ///
    /// # Errors
    /// When a device failed, which may show a step later; what was learned is lost then.
    pub fn step(&mut self, step: &Step<'_>) -> Result<(), DeviceFailure> {
        self.0.step(step)
    }

    /// The mean loss and accuracy of the rows since this was last asked, each before the step that it
    /// was part of; `None` without rows. The loss is cross-entropy in nats.
    ///
    /// # Errors
    /// As [`Tuner::step`].
    pub fn seen(&mut self) -> Result<Option<(f64, f64)>, DeviceFailure> {
        self.0.seen()
    }

    /// The network's weights as they are now.
    pub fn weights(&self) -> Weights {
        self.0.weights()
    }

    /// The head as it is now.
    pub fn head(&self) -> Head {
        self.0.head()
    }
}

impl fmt::Debug for Tuner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tuner")
    }
}

/// What one optimizer looks after.
#[derive(Module, Debug)]
struct Trained<B: Backend> {
    tensors: Vec<Param<Tensor<B, 4>>>,
}

struct Tuned<B: Operations> {
    course: Course<B>,
    /// Those of `Group::Decaying`, those of `Group::Kept`.
    trained: [Trained<Autodiff<B>>; 2],
    optimizers: [AnyOptimizer<B>; 2],
    /// Those of `Group::Fixed`, running statistics among them.
    fixed: Vec<Tensor<B, 4>>,
    /// The logits of the last step, which the device may not have computed yet, with their labels.
    pending: Vec<(Tensor<B, 2>, Vec<usize>)>,
    sums: Sums,
    began: Moment,
}

type AnyOptimizer<B> = Box<dyn FnMut(f64, Trained<Autodiff<B>>, GradientsParams) -> Trained<Autodiff<B>> + Send>;

/// What training starts from.
struct Start<'a> {
    network: &'a Network,
    weights: &'a Weights,
    head: &'a Head,
    scale: PixelScale,
    tuning: &'a Tuning,
    products: Products,
    parts: Parts,
}

impl<B: Operations> Tuned<B> {
    fn new(start: Start<'_>, devices: Vec<B::Device>) -> Self {
        let Start { network, weights, head, scale, tuning, products, parts } = start;
        let mut entries = entries(network, tuning.freeze);
        let mut numbers: Vec<Vec<f32>> = entries.iter().map(|entry| weights.numbers(&entry.name).to_vec()).collect();
        let shapes = [vec![head.outputs(), head.features], vec![head.outputs()]];
        for ((name, shape), group) in HEAD.iter().zip(shapes).zip([Group::Decaying, Group::Kept]) {
            entries.push(Entry { name: (*name).to_owned(), shape, group });
        }
        numbers.extend([head.weight.clone(), head.bias.clone()]);
        let (mut trained, mut fixed) = ([Vec::new(), Vec::new()], Vec::new());
        for (entry, numbers) in entries.iter().zip(numbers) {
            let tensor = Tensor::<B, 4>::from_data(TensorData::new(numbers, four(&entry.shape)), &devices[0]);
            match entry.group {
                Group::Fixed => fixed.push(tensor),
                group => trained[group as usize].push(Param::from_tensor(Tensor::from_inner(tensor))),
            }
        }
        let optimizers = [optimizer(&tuning.descent, tuning.weight_decay), optimizer(&tuning.descent, 0.0)];
        Self {
            course: Course {
                network: network.clone(),
                classes: head.classes,
                features: head.features,
                scale,
                tuning: tuning.clone(),
                devices,
                parts,
                products,
                entries,
            },
            trained: trained.map(|tensors| Trained { tensors }),
            optimizers,
            fixed,
            pending: Vec::new(),
            sums: Sums::default(),
            began: Moment::now(),
        }
    }

    /// Every tensor, in the order of the entries.
    fn tensors(&self) -> Vec<Tensor<B, 4>> {
        let mut groups = self.trained.iter().map(|group| group.tensors.iter().map(|param| param.val().inner()));
        let (mut decaying, mut kept) = (groups.next(), groups.next());
        let mut fixed = self.fixed.iter().cloned();
        let next = |entry: &Entry| match entry.group {
            Group::Decaying => decaying.as_mut()?.next(),
            Group::Kept => kept.as_mut()?.next(),
            Group::Fixed => fixed.next(),
        };
        self.course.entries.iter().filter_map(next).collect()
    }

    /// Lets running statistics follow what norms saw.
    fn learn_statistics(&mut self, parts: Vec<Vec<Seen<B>>>) {
        let fixed = self.course.entries.iter().filter(|entry| entry.group == Group::Fixed);
        let places: BTreeMap<&str, usize> = fixed.enumerate().map(|(at, entry)| (entry.name.as_str(), at)).collect();
        for Seen { norm, mean, variance, values } in together(parts) {
            if values < 2 {
                // One value has no variance to learn from.
                continue;
            }
            // As in PyTorch, the running variance is the unbiased one.
            let variance = variance * (values as f64 / (values as f64 - 1.0));
            for (part, new) in [("running_mean", mean), ("running_var", variance)] {
                let Some(&at) = places.get(format!("{norm}.{part}").as_str()) else { continue };
                let old = self.fixed[at].clone();
                let new = new.reshape(old.dims()) * MOMENTUM;
                self.fixed[at] = old * (1.0 - MOMENTUM) + new;
            }
        }
    }

    /// Counts the logits that were still being computed.
    fn settle(&mut self) -> Result<(), DeviceFailure> {
        for (logits, labels) in std::mem::take(&mut self.pending) {
            self.sums.add(&self.began.read(logits)?, &labels);
        }
        Ok(())
    }
}

impl<B: Operations> Tune for Tuned<B> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), DeviceFailure> {
        if self.pending.is_empty() {
            // What others did since the last step was settled is none of this one's.
            self.began = Moment::now();
        }
        let parts = self.course.parts(&self.tensors(), step);
        let rows = self.course.part_of(step.size);
        let mut sums: Vec<Option<Tensor<B, 4>>> = vec![None; self.course.entries.len()];
        let (mut logits, mut seen) = (Vec::new(), Vec::new());
        for (given, labels) in parts.into_iter().zip(step.labels.chunks(rows)) {
            for (sum, gradient) in sums.iter_mut().zip(given.gradients) {
                let gradient = gradient.map(|gradient| gradient.to_device(&self.course.devices[0]));
                *sum = match (sum.take(), gradient) {
                    (Some(sum), Some(gradient)) => Some(sum + gradient),
                    (sum, gradient) => sum.or(gradient),
                };
            }
            logits.push((given.logits, labels.to_vec()));
            seen.push(given.seen);
        }
        let mut grouped: [Vec<Tensor<B, 4>>; 2] = [Vec::new(), Vec::new()];
        for (entry, sum) in self.course.entries.iter().zip(sums).filter(|(entry, _)| entry.group != Group::Fixed) {
            let zeros = || Tensor::zeros(four(&entry.shape), &self.course.devices[0]);
            grouped[entry.group as usize].push(sum.unwrap_or_else(zeros));
        }
        for ((trained, optimizer), all) in self.trained.iter_mut().zip(&mut self.optimizers).zip(grouped) {
            let mut gradients = GradientsParams::new();
            for (param, gradient) in trained.tensors.iter().zip(all) {
                gradients.register::<B, 4>(param.id, gradient);
            }
            *trained = optimizer(step.lr, trained.clone(), gradients);
        }
        self.learn_statistics(seen);
        // The last step's, so that the device has this one to do meanwhile.
        self.settle()?;
        self.pending = logits;
        Ok(())
    }

    fn seen(&mut self) -> Result<Option<(f64, f64)>, DeviceFailure> {
        self.settle()?;
        Ok(std::mem::take(&mut self.sums).means())
    }

    fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        for (entry, tensor) in self.course.entries.iter().zip(self.tensors()) {
            if !HEAD.contains(&entry.name.as_str()) {
                weights.insert(&entry.name, &entry.shape, numbers(tensor));
            }
        }
        weights
    }

    fn head(&self) -> Head {
        let all = self.tensors();
        let of = |name: &str| {
            let at = self.course.entries.iter().position(|entry| entry.name == name);
            at.map(|at| numbers(all[at].clone())).unwrap_or_default()
        };
        Head { classes: self.course.classes, features: self.course.features, weight: of(HEAD[0]), bias: of(HEAD[1]) }
    }
}

fn numbers<B: Backend>(tensor: Tensor<B, 4>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().unwrap_or_default()
}

fn optimizer<B: Operations>(descent: &Descent, weight_decay: f64) -> AnyOptimizer<B> {
    match *descent {
        Descent::AdamW { betas, eps } => {
            let config = AdamWConfig::new().with_beta_1(betas.0 as f32).with_beta_2(betas.1 as f32);
            let config = config.with_epsilon(eps as f32).with_weight_decay(weight_decay as f32);
            let mut optimizer = config.init();
            Box::new(move |lr, trained, gradients| optimizer.step(lr, trained, gradients))
        }
        Descent::Sgd { momentum } => {
            let momentum = MomentumConfig::new().with_momentum(momentum).with_dampening(0.0);
            let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32));
            let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(decay).init();
            Box::new(move |lr, trained, gradients| optimizer.step(lr, trained, gradients))
        }
    }
}
