//! The weights of a network: names, shapes, numbers.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, serialize};

use crate::error::{WeightProblem, WeightsError};
use crate::file::{self, Numbers, Tensor};
use crate::names;
use crate::network::Network;
use crate::tensors::{Role, TensorSpec};

/// Named arrays of `f32`, row-major.
#[derive(Debug, Clone, Default)]
pub struct Weights(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

/// Whose names the tensors of a file have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// torchvision's.
    Torchvision,
    /// timm's.
    Timm,
    /// Those of both, which are the same: a ResNet's.
    Either,
}

impl Weights {
    /// Without those of a network's classifier.
    pub fn without_classifier(mut self, network: &Network) -> Self {
        network.classifier_tensors().iter().for_each(|spec| drop(self.0.remove(&spec.name)));
        self
    }

    /// Reads a network's weights from a safetensors file or one that `torch.save` wrote: a state
    /// dict, or a checkpoint that holds one. Names are torchvision's or timm's, behind any prefix
    /// that all have (`module.`, `state_dict.`). A classifier may be there, or not at all; one for
    /// another number of classes is left out.
    ///
    /// # Errors
    /// Everything in the file that does not fit the network, by the file's names.
    pub fn read(path: &Path, network: &Network) -> Result<(Self, Naming), WeightsError> {
        let mut tensors = file::tensors(path)?;
        let naming = Self::naming(&tensors, network);
        let mut all = network.tensors();
        let own = all.len();
        all.extend(network.classifier_tensors());
        let name_of = |spec: &TensorSpec| match naming {
            Naming::Torchvision | Naming::Either => spec.name.clone(),
            Naming::Timm => names::timm(&network.name, &spec.name, &all).unwrap_or_else(|| spec.name.clone()),
        };
        let prefix = prefix(&tensors, &name_of(&all[0]));
        tensors.retain(|name, _| name.starts_with(&prefix));
        let mut weights = Self::default();
        let mut problems = Vec::new();
        for (place, spec) in all.iter().enumerate() {
            let name = format!("{prefix}{}", name_of(spec));
            let is_classifiers = place >= own;
            match tensors.remove(&name) {
                Some(tensor) if is_classifiers && tensor.shape != spec.shape => {}
                Some(tensor) => match fit(tensor, spec, name) {
                    Ok(numbers) => {
                        weights.0.insert(spec.name.clone(), (spec.shape.clone(), numbers));
                    }
                    Err(problem) => problems.push(problem),
                },
                None if is_classifiers => {}
                None => problems.push(WeightProblem::Missing { name, shape: spec.shape.clone() }),
            }
        }
        let surplus = tensors.into_keys().filter(|name| !name.ends_with(".num_batches_tracked"));
        problems.extend(surplus.map(WeightProblem::Surplus));
        if problems.is_empty() {
            return Ok((weights, naming));
        }
        Err(WeightsError::Misfit { network: network.name.clone(), problems })
    }

    /// Whose names these are: those of which more are there.
    fn naming(tensors: &BTreeMap<String, Tensor>, network: &Network) -> Naming {
        let all = network.tensors();
        let there = |name: Option<String>| {
            name.is_some_and(|name| tensors.keys().any(|key| key.strip_suffix(&name).is_some_and(is_prefix)))
        };
        let first = all.iter().take(16);
        let ours = first.clone().filter(|spec| there(Some(spec.name.clone()))).count();
        let theirs = first.filter(|spec| there(names::timm(&network.name, &spec.name, &all))).count();
        match theirs.cmp(&ours) {
            Ordering::Greater => Naming::Timm,
            Ordering::Equal if theirs > 0 => Naming::Either,
            Ordering::Equal | Ordering::Less => Naming::Torchvision,
        }
    }

    /// Random weights as a network has before training: uniform with He et al.'s variance
    /// `2 / fan_in` (2015), biases and means 0, scales and variances 1.
    pub fn random(network: &Network, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = Self::default();
        for spec in network.tensors() {
            let count = spec.numbers();
            let numbers = match spec.role {
                Role::Weight { fan_in } => {
                    let bound = (6.0 / fan_in as f32).sqrt();
                    (0..count).map(|_| bound * (2.0 * random.random::<f32>() - 1.0)).collect()
                }
                Role::Scale | Role::RunningVariance => vec![1.0; count],
                Role::Bias | Role::RunningMean => vec![0.0; count],
            };
            weights.0.insert(spec.name, (spec.shape, numbers));
        }
        weights
    }

    /// Adds a tensor, row-major.
    pub fn insert(&mut self, name: &str, shape: &[usize], numbers: Vec<f32>) {
        self.0.insert(name.to_owned(), (shape.to_vec(), numbers));
    }

    /// Adds tensors; those of a name that was there take its place.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// As a safetensors file.
    ///
    /// # Errors
    /// When a tensor has not as many numbers as its shape says.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, SafeTensorError> {
        let bytes = |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
        let each: Vec<Vec<u8>> = self.0.values().map(|(_, numbers)| bytes(numbers)).collect();
        let mut views = Vec::new();
        for ((name, (shape, _)), bytes) in self.0.iter().zip(&each) {
            views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?));
        }
        serialize(views, None)
    }

    /// The numbers of a tensor; empty where there is none of that name.
    pub fn numbers(&self, name: &str) -> &[f32] {
        self.0.get(name).map(|(_, numbers)| numbers.as_slice()).unwrap_or_default()
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// The numbers of a tensor that has the shape that is wanted, axes of length 1 aside.
fn fit(tensor: Tensor, spec: &TensorSpec, name: String) -> Result<Vec<f32>, WeightProblem> {
    // timm's MobileNetV3 has a 1x1 convolution where torchvision has a dense layer.
    let sides = |shape: &[usize]| shape.iter().copied().filter(|&side| side != 1).collect::<Vec<_>>();
    if sides(&tensor.shape) != sides(&spec.shape) {
        return Err(WeightProblem::Shape { name, expected: spec.shape.clone(), found: tensor.shape });
    }
    match tensor.numbers {
        Numbers::Float(numbers) => Ok(numbers),
        Numbers::Other(found) => Err(WeightProblem::Type { name, found }),
    }
}

/// What stands before the name of a tensor in a file: the shortest, where there are several.
fn prefix(tensors: &BTreeMap<String, Tensor>, name: &str) -> String {
    let before = tensors.keys().filter_map(|key| key.strip_suffix(name)).filter(|before| is_prefix(before));
    before.min_by_key(|before| before.len()).unwrap_or_default().to_owned()
}

fn is_prefix(text: &str) -> bool {
    text.is_empty() || text.ends_with('.')
}
