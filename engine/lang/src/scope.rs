//! A text in use: what its names lead to.

use std::collections::{BTreeSet, HashMap};

use crate::Span;
use crate::matrix::{AxisId, Relation};
use crate::params::Params;
use crate::tree::{Key, Node, Tree};
use crate::wired::Wired;

/// One text in use: its params, and what its names lead to.
pub(crate) struct Scope {
    /// What names in it begin with: nothing, or `train/`.
    pub(crate) path: String,
    pub(crate) rank: Vec<u32>,
    pub(crate) params: Params,
    /// What the nodes vary with that this text, and those around it, are used by: the outermost first.
    pub(crate) ambients: Vec<Relation>,
    /// Nodes and inputs by name; `None` for those with mistakes.
    pub(crate) entities: HashMap<String, Option<Entity>>,
    /// The names in the order of the text.
    pub(crate) names: Vec<String>,
}

/// A node, a sub-pipeline or an input, to those who read it.
#[derive(Clone)]
pub(crate) struct Entity {
    pub(crate) span: Span,
    /// What it is, for a label.
    pub(crate) what: String,
    /// What it gives, the main output first.
    pub(crate) outputs: Vec<(String, Wired)>,
    /// Whether it may vary with more, since something that it reads has mistakes.
    pub(crate) unsure: bool,
}

impl Scope {
    /// The combinations of these axes of what uses the text.
    pub(crate) fn varying(&self, axes: &BTreeSet<AxisId>) -> Relation {
        self.ambients.last().map_or_else(|| Relation::constant(()), |ambient| ambient.project(axes))
    }

    /// Whether what a reference names may vary with more than is known.
    pub(crate) fn is_unsure(&self, reference: &Tree) -> bool {
        let Node::Scalar(scalar) = &reference.node else { return false };
        let name = scalar.text.split(['.', '[']).next().unwrap_or_default();
        matches!(self.entities.get(name), Some(Some(entity)) if entity.unsure)
    }

    /// Without the combinations that what uses the text leaves out.
    pub(crate) fn restricted(&self, relation: Relation) -> Relation {
        self.ambients.iter().fold(relation, |relation, ambient| relation.within(ambient))
    }

    /// Gives a name what it leads to.
    pub(crate) fn add(&mut self, key: &Key, entity: Option<Entity>) {
        self.names.push(key.text.clone());
        self.entities.insert(key.text.clone(), entity);
    }
}
