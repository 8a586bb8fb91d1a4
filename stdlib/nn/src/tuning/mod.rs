//! A network with a head in training.
//!
//! A step's rows are cut into parts: on the CPU into small ones of one size, a thread each, whose
//! gradients are added in their order, so that the result does not depend on how many threads there
//! are; on GPUs into one for each.

mod course;
mod entry;
mod statistics;

use std::fmt;
use std::ops::Range;

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::cuda::CudaDevice;
use burn::backend::{Cuda, Flex};
use burn::tensor::{FloatDType, Tensor};
use pipe_gpu::Products;
use pipe_network::{Network, Weights};

use self::course::{Course, Parts};
use self::entry::{Entries, Entry, Group, HEAD};
use self::statistics::together;
use crate::descent::{Descent, Optimizer};
use crate::failure::Moment;
use crate::layer::Seen;
use crate::loss::Sums;
use crate::operations::Operations;
use crate::{ComputeDevice, DeviceFailure, Head, PixelScale, Precision};

/// Rows of a part on the CPU.
const PART: usize = 8;
/// How much of a running statistic each step replaces, as in PyTorch.
const MOMENTUM: f64 = 0.1;

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

/// What a network learns from.
#[derive(Debug, Clone, Copy)]
pub enum Images<'a> {
    /// Pixels `[count, height, width, 3]`, row-major.
    Pixels(&'a [u8]),
    /// What the blocks before a network made of them, `[count, height, width, channels]`, row-major.
    Maps(&'a [f32]),
}

impl Images<'_> {
    /// Those of some of `count` rows.
    fn rows(&self, rows: Range<usize>, count: usize) -> Self {
        let places = |length: usize| rows.start * (length / count)..rows.end * (length / count);
        match self {
            Self::Pixels(pixels) => Self::Pixels(&pixels[places(pixels.len())]),
            Self::Maps(maps) => Self::Maps(&maps[places(maps.len())]),
        }
    }
}

/// Rows of one step.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is learned from.
    pub images: Images<'a>,
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
        let (products, of_head) = (first.products(tuning.precision), first.products(Precision::F32));
        let start = Start { network, weights, head, scale, tuning, products, of_head, parts };
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

struct Tuned<B: Operations> {
    course: Course<B>,
    /// The tensors of each group.
    flats: [Tensor<B, 1>; 4],
    /// Those of the trained groups.
    optimizers: [Optimizer<B>; 2],
    /// The logits of the last step, which the device may not have computed yet, with their labels.
    pending: Vec<(Tensor<B, 2>, Vec<usize>)>,
    sums: Sums,
    began: Moment,
}

/// What training starts from.
struct Start<'a> {
    network: &'a Network,
    weights: &'a Weights,
    head: &'a Head,
    scale: PixelScale,
    tuning: &'a Tuning,
    products: Products,
    of_head: Products,
    parts: Parts,
}

impl<B: Operations> Tuned<B> {
    fn new(start: Start<'_>, devices: Vec<B::Device>) -> Self {
        let Start { network, weights, head, scale, tuning, products, of_head, parts } = start;
        let entries = Entries::new(network, tuning.freeze, tuning.batch_statistics, head);
        let numbers = |name: &str| match HEAD.iter().position(|of_head| *of_head == name) {
            Some(0) => &head.weight[..],
            Some(_) => &head.bias[..],
            None => weights.numbers(name),
        };
        let flats = Group::ALL.map(|group| {
            let numbers: Vec<&[f32]> = entries.of(group).map(|entry| numbers(&entry.name)).collect();
            entries.layout(group).tensor(&numbers, &devices[0])
        });
        let optimizers = Group::TRAINED.map(|group| {
            let decay = if group == Group::Decaying { tuning.weight_decay } else { 0.0 };
            Optimizer::new(entries.layout(group).clone(), tuning.descent, decay)
        });
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
                of_head,
                entries,
            },
            flats,
            optimizers,
            pending: Vec::new(),
            sums: Sums::default(),
            began: Moment::now(),
        }
    }

    /// Lets running statistics follow what norms saw.
    fn learn_statistics(&mut self, parts: Vec<Vec<Seen<B>>>) {
        let (entries, running) = (&self.course.entries, &self.flats[Group::Running as usize]);
        let layout = entries.layout(Group::Running);
        let mut pieces = Vec::new();
        for Seen { norm, mean, variance, values } in together(parts) {
            // As in PyTorch, the running variance is the unbiased one.
            let unbiased = values as f64 / (values as f64 - 1.0);
            for (part, new, factor) in [("running_mean", mean, 1.0), ("running_var", variance, unbiased)] {
                let Some(at) = entries.find(&format!("{norm}.{part}")) else { continue };
                let place = entries.all[at].place;
                // One value has no variance to learn from.
                let (new, factor) = if values < 2 { (layout.part(running, place), 1.0) } else { (new, factor) };
                pieces.push(layout.piece(place, new, (MOMENTUM * factor) as f32));
            }
        }
        if !pieces.is_empty() {
            let followed = B::blend(running.clone(), (1.0 - MOMENTUM) as f32, pieces);
            self.flats[Group::Running as usize] = followed;
        }
    }

    /// Counts the logits that were still being computed.
    fn settle(&mut self) -> Result<(), DeviceFailure> {
        for (logits, labels) in std::mem::take(&mut self.pending) {
            self.sums.add(&self.began.read(logits)?, &labels);
        }
        Ok(())
    }

    fn descend(&mut self, step: &Step<'_>) -> Result<(), DeviceFailure> {
        let parts = self.course.parts(&self.flats, step);
        let rows = self.course.part_of(step.size);
        let is_one = parts.len() == 1;
        let mut sums: Option<[Vec<Tensor<B, 4>>; 2]> = None;
        let (mut logits, mut seen) = (Vec::new(), Vec::new());
        for (given, labels) in parts.into_iter().zip(step.labels.chunks(rows)) {
            let here = |gradient: Tensor<B, 4>| match is_one {
                true => gradient,
                // What is added up has all digits.
                false => gradient.to_device(&self.course.devices[0]).cast(FloatDType::F32),
            };
            let gradients = given.gradients.map(|group| group.into_iter().map(here).collect::<Vec<_>>());
            sums = Some(match sums {
                Some([decaying, kept]) => {
                    let [more_decaying, more_kept] = gradients;
                    [added(decaying, more_decaying), added(kept, more_kept)]
                }
                None => gradients,
            });
            logits.push((given.logits, labels.to_vec()));
            seen.push(given.seen);
        }
        for ((flat, optimizer), gradients) in
            self.flats.iter_mut().zip(&mut self.optimizers).zip(sums.into_iter().flatten())
        {
            *flat = optimizer.step(flat.clone(), gradients, step.lr);
        }
        self.learn_statistics(seen);
        // The last step's, so that the device has this one to do meanwhile.
        self.settle()?;
        self.pending = logits;
        Ok(())
    }
}

impl<B: Operations> Tune for Tuned<B> {
    fn step(&mut self, step: &Step<'_>) -> Result<(), DeviceFailure> {
        if self.pending.is_empty() {
            // What others did since the last step was settled is none of this one's.
            self.began = Moment::now();
        }
        self.began.guard(|| self.descend(step))
    }

    fn seen(&mut self) -> Result<Option<(f64, f64)>, DeviceFailure> {
        self.settle()?;
        Ok(std::mem::take(&mut self.sums).means())
    }

    fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        for group in Group::ALL {
            let numbers = numbers(&self.flats[group as usize]);
            for entry in self.course.entries.of(group).filter(|entry| !HEAD.contains(&entry.name.as_str())) {
                let layout = self.course.entries.layout(group);
                weights.insert(&entry.name, &entry.shape, layout.numbers(&numbers, entry.place).to_vec());
            }
        }
        weights
    }

    fn head(&self) -> Head {
        let [weight, bias] = HEAD.map(|name| {
            let entry = self.course.entries.find(name).map(|at| &self.course.entries.all[at]);
            let part = |entry: &Entry| {
                self.course.entries.layout(entry.group).part(&self.flats[entry.group as usize], entry.place)
            };
            entry.map(|entry| numbers(&part(entry))).unwrap_or_default()
        });
        Head { classes: self.course.classes, features: self.course.features, weight, bias }
    }
}

fn numbers<B: Operations, const D: usize>(tensor: &Tensor<B, D>) -> Vec<f32> {
    tensor.to_data().convert::<f32>().into_vec().unwrap_or_default()
}

/// Sums of what belongs together.
fn added<B: Operations>(some: Vec<Tensor<B, 4>>, others: Vec<Tensor<B, 4>>) -> Vec<Tensor<B, 4>> {
    some.into_iter().zip(others).map(|(one, other)| one + other).collect()
}
