//! The names and shapes of a network's weights.

use crate::block::{Attention, Block, Conv, LayerNorm, Linear, Tokens};

/// A weight that a network has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in a state dict.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

/// What a weight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is multiplied with inputs, of which so many make one output.
    Weight {
        /// Inputs of one output.
        fan_in: usize,
    },
    /// It scales a channel: 1 before training.
    Scale,
    /// It is added: 0 before training.
    Bias,
    /// The mean of a norm: a statistic, no parameter.
    RunningMean,
    /// The variance of a norm: a statistic, no parameter.
    RunningVariance,
}

impl TensorSpec {
    fn new(name: String, shape: Vec<usize>, role: Role) -> Self {
        Self { name, shape, role }
    }

    /// How many numbers it has.
    pub fn numbers(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it counts as a parameter; the running statistics of a norm do not.
    pub fn is_parameter(&self) -> bool {
        !matches!(self.role, Role::RunningMean | Role::RunningVariance)
    }
}

/// How many parameters these are.
pub(crate) fn count(specs: &[TensorSpec]) -> usize {
    specs.iter().filter(|spec| spec.is_parameter()).map(TensorSpec::numbers).sum()
}

impl Block {
    /// Its own weights, not those of blocks inside.
    pub(crate) fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        match self {
            Self::Conv(conv) => conv.tensors(specs),
            Self::Linear(linear) => linear.tensors(specs),
            Self::LayerNorm(norm) => norm.tensors(specs),
            Self::SqueezeExcite(block) => block.convs().iter().for_each(|conv| conv.tensors(specs)),
            Self::Attention(attention) => attention.tensors(specs),
            Self::Tokens(tokens) => tokens.tensors(specs),
            Self::Residual(residual) => {
                let shape = vec![residual.channels(), 1, 1];
                let scale = residual.scale.iter();
                specs.extend(scale.map(|name| TensorSpec::new(name.clone(), shape.clone(), Role::Scale)));
            }
            Self::MaxPool(_) | Self::Concat(_) | Self::FirstToken | Self::PatchTokens | Self::Mean => {}
        }
    }

    /// The channels out of a block that may change them.
    pub(crate) fn outputs(&self) -> Option<usize> {
        match self {
            Self::Conv(conv) => Some(conv.outputs),
            Self::Linear(linear) => Some(linear.outputs),
            _ => None,
        }
    }
}

impl Conv {
    pub(crate) fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        let shape = self.weight_shape();
        let fan_in = shape[1..].iter().product();
        let mut add = |name: String, shape, role| specs.push(TensorSpec::new(name, shape, role));
        add(format!("{}.weight", self.name), shape.to_vec(), Role::Weight { fan_in });
        let per_channel = || vec![self.outputs];
        match &self.norm {
            None => add(format!("{}.bias", self.name), per_channel(), Role::Bias),
            Some(norm) => {
                add(format!("{}.weight", norm.name), per_channel(), Role::Scale);
                add(format!("{}.bias", norm.name), per_channel(), Role::Bias);
                add(format!("{}.running_mean", norm.name), per_channel(), Role::RunningMean);
                add(format!("{}.running_var", norm.name), per_channel(), Role::RunningVariance);
            }
        }
    }
}

impl Linear {
    pub(crate) fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        let role = Role::Weight { fan_in: self.inputs };
        specs.push(TensorSpec::new(format!("{}.weight", self.name), vec![self.outputs, self.inputs], role));
        specs.push(TensorSpec::new(format!("{}.bias", self.name), vec![self.outputs], Role::Bias));
    }
}

impl LayerNorm {
    fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        specs.push(TensorSpec::new(format!("{}.weight", self.name), vec![self.channels], Role::Scale));
        specs.push(TensorSpec::new(format!("{}.bias", self.name), vec![self.channels], Role::Bias));
    }
}

impl Attention {
    fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        let (weight, bias, after) = self.linears();
        let role = Role::Weight { fan_in: self.channels };
        specs.push(TensorSpec::new(weight, vec![3 * self.channels, self.channels], role));
        specs.push(TensorSpec::new(bias, vec![3 * self.channels], Role::Bias));
        after.tensors(specs);
    }
}

impl Tokens {
    fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        specs.push(TensorSpec::new(self.class.clone(), vec![1, 1, self.channels], Role::Bias));
        specs.push(TensorSpec::new(self.positions.clone(), vec![1, 1 + self.places, self.channels], Role::Bias));
    }
}
