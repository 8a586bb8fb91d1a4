//! The tensors of a network and its head, and which of them are trained.

use pipe_network::{Network, Role};

/// The names of the head's parameters, which no network has.
pub(super) const HEAD: [&str; 2] = ["/head.weight", "/head.bias"];

/// A tensor of the network or the head.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// As a state dict has it.
    pub(super) shape: Vec<usize>,
    pub(super) group: Group,
}

/// Where a tensor is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// Trained, with weight decay.
    Decaying,
    /// Trained, without.
    Kept,
    /// As it is.
    Fixed,
}

/// A shape with ones behind it.
pub(super) fn four(shape: &[usize]) -> [usize; 4] {
    std::array::from_fn(|at| shape.get(at).copied().unwrap_or(1))
}

/// The tensors of a network whose first blocks are frozen.
pub(super) fn entries(network: &Network, freeze: usize) -> Vec<Entry> {
    let [frozen, _] = network.cut(freeze).map(|part| part.tensors().len());
    let group = |at: usize, role: Role| match role {
        Role::RunningMean | Role::RunningVariance => Group::Fixed,
        _ if at < frozen => Group::Fixed,
        Role::Weight { .. } => Group::Decaying,
        Role::Scale | Role::Bias => Group::Kept,
    };
    let entry = |(at, spec): (usize, pipe_network::TensorSpec)| Entry {
        group: group(at, spec.role),
        name: spec.name,
        shape: spec.shape,
    };
    network.tensors().into_iter().enumerate().map(entry).collect()
}
