//! The weights of a network: names, shapes, numbers.

use std::collections::BTreeMap;
use std::fmt;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use safetensors::{Dtype, SafeTensors};

use crate::network::Network;
use crate::tensors::{Role, TensorSpec};

/// Named arrays of `f32`, row-major.
#[derive(Debug, Clone, Default)]
pub struct Weights(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file: {0}")]
    Format(String),
    /// Tensors are missing, misshapen or of another type.
    #[error("the weights do not fit {network}: {}", list(.problems))]
    Misfit {
        /// The network.
        network: String,
        /// All that does not fit.
        problems: Vec<WeightProblem>,
    },
}

/// A tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightProblem {
    /// It is not there.
    Missing(TensorSpec),
    /// It has another shape.
    Shape {
        /// Its name.
        name: String,
        /// The shape of the network's.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// Its numbers are not `f32`.
    Type {
        /// Its name.
        name: String,
        /// What they are.
        found: String,
    },
    /// The network has no such tensor.
    Surplus(String),
}

impl fmt::Display for WeightProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(spec) => write!(f, "`{}` {:?} is missing", spec.name, spec.shape),
            Self::Shape { name, expected, found } => write!(f, "`{name}` is {found:?}, expected {expected:?}"),
            Self::Type { name, found } => write!(f, "`{name}` is {found}, expected F32"),
            Self::Surplus(name) => write!(f, "`{name}` belongs to no layer"),
        }
    }
}

fn list(problems: &[WeightProblem]) -> String {
    const NAMED: usize = 8;
    let named: Vec<String> = problems.iter().take(NAMED).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(NAMED);
    if more == 0 { named.join("; ") } else { format!("{}; and {more} more", named.join("; ")) }
}

impl Weights {
    /// Reads a network's weights from a safetensors file with torchvision's names. A classifier
    /// may be there, whole and in shape, or not at all.
    ///
    /// # Errors
    /// Everything in the file that does not fit the network.
    pub fn from_safetensors(bytes: &[u8], network: &Network) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| WeightsError::Format(error.to_string()))?;
        let mut problems = Vec::new();
        let mut weights = Self::default();
        let mut wanted = network.tensors();
        let classifier = network.classifier_tensors();
        if classifier.iter().any(|spec| file.tensor(&spec.name).is_ok()) {
            wanted.extend(classifier);
        }
        for spec in &wanted {
            let Ok(view) = file.tensor(&spec.name) else {
                problems.push(WeightProblem::Missing(spec.clone()));
                continue;
            };
            if view.dtype() != Dtype::F32 {
                problems.push(WeightProblem::Type { name: spec.name.clone(), found: format!("{:?}", view.dtype()) });
            } else if view.shape() != spec.shape {
                problems.push(WeightProblem::Shape {
                    name: spec.name.clone(),
                    expected: spec.shape.clone(),
                    found: view.shape().to_vec(),
                });
            } else {
                let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                weights.0.insert(spec.name.clone(), (spec.shape.clone(), numbers.collect()));
            }
        }
        for name in file.names() {
            let is_counter = name.ends_with(".num_batches_tracked");
            if !is_counter && wanted.iter().all(|spec| spec.name != *name) {
                problems.push(WeightProblem::Surplus(name.to_owned()));
            }
        }
        if problems.is_empty() {
            return Ok(weights);
        }
        Err(WeightsError::Misfit { network: network.name.clone(), problems })
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

    /// The numbers of a tensor; empty where there is none of that name.
    pub fn numbers(&self, name: &str) -> &[f32] {
        self.0.get(name).map(|(_, numbers)| numbers.as_slice()).unwrap_or_default()
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
