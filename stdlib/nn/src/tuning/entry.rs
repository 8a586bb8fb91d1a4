//! The tensors of a network and its head, and which of them are trained.

use std::collections::BTreeMap;

use pipe_network::{Network, Role, TensorSpec};

use crate::Head;
use crate::flat::Layout;

/// The names of the head's parameters, which no network has.
pub(super) const HEAD: [&str; 2] = ["/head.weight", "/head.bias"];

/// A tensor of the network or the head.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// As a state dict has it.
    pub(super) shape: Vec<usize>,
    pub(super) group: Group,
    /// Which of the tensors of its group it is.
    pub(super) place: usize,
}

/// What becomes of a tensor; those of a group lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Trained, with weight decay.
    Decaying,
    /// Trained, without.
    Kept,
    /// A running statistic that follows what norms see.
    Running,
    /// As it is.
    Fixed,
}

impl Group {
    /// In the order of their tensors.
    pub(super) const ALL: [Self; 4] = [Self::Decaying, Self::Kept, Self::Running, Self::Fixed];
    /// The first of all.
    pub(super) const TRAINED: [Self; 2] = [Self::Decaying, Self::Kept];

    pub(super) fn is_trained(self) -> bool {
        Self::TRAINED.contains(&self)
    }
}

/// All tensors in training, and where they lie.
#[derive(Debug, Clone)]
pub(super) struct Entries {
    pub(super) all: Vec<Entry>,
    /// Which one each name is.
    names: BTreeMap<String, usize>,
    /// Of the groups, in their order.
    layouts: [Layout; 4],
}

impl Entries {
    /// Those of a network whose first blocks are frozen, whose other norms learn statistics or not, and of a head.
    pub(super) fn new(network: &Network, freeze: usize, statistics: bool, head: &Head) -> Self {
        let [frozen, _] = network.cut(freeze).map(|part| part.tensors().len());
        let group = |at: usize, role: Role| match role {
            _ if at < frozen => Group::Fixed,
            Role::RunningMean | Role::RunningVariance if statistics => Group::Running,
            Role::RunningMean | Role::RunningVariance => Group::Fixed,
            Role::Weight { .. } => Group::Decaying,
            Role::Scale | Role::Bias => Group::Kept,
        };
        let of_network = network.tensors().into_iter().enumerate();
        let of_network = of_network.map(|(at, TensorSpec { name, shape, role, .. })| (name, shape, group(at, role)));
        let [weight, bias] = HEAD.map(str::to_owned);
        let of_head =
            [(weight, vec![head.outputs(), head.features], Group::Decaying), (bias, vec![head.outputs()], Group::Kept)];
        let mut shapes: [Vec<[usize; 4]>; 4] = Default::default();
        let entry = |(name, shape, group): (String, Vec<usize>, Group)| {
            let of_group = &mut shapes[group as usize];
            of_group.push(four(&shape));
            Entry { name, shape, group, place: of_group.len() - 1 }
        };
        let all: Vec<Entry> = of_network.chain(of_head).map(entry).collect();
        let names = all.iter().enumerate().map(|(at, entry)| (entry.name.clone(), at)).collect();
        Self { all, names, layouts: shapes.map(Layout::new) }
    }

    /// Which one has that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn layout(&self, group: Group) -> &Layout {
        &self.layouts[group as usize]
    }

    /// Those of a group, in their order.
    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = &Entry> {
        self.all.iter().filter(move |entry| entry.group == group)
    }
}

/// A shape with four sides: of channels alone the second, else with ones behind.
fn four(shape: &[usize]) -> [usize; 4] {
    match shape {
        [channels] => [1, *channels, 1, 1],
        _ => std::array::from_fn(|at| shape.get(at).copied().unwrap_or(1)),
    }
}
