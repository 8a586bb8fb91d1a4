//! Axes, combinations of their values, and what varies with them.
//!
//! Knows nothing of nodes. A [`Varying`] is a relation: rows of combinations, each with what holds
//! there. Nodes fan out over the natural join of what their inputs vary with.

use std::collections::{BTreeSet, HashMap};

use crate::tree::Tree;

/// An axis of the pipeline; those made first come first in names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AxisId(u32);

/// An axis and its values. Axes of one name in one scope are one axis.
#[derive(Debug)]
pub(crate) struct Axis {
    /// The path of the pipeline that declares it, `` or `train/`.
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) values: Vec<(String, Tree)>,
}

/// Every axis of a pipeline.
#[derive(Debug, Default)]
pub(crate) struct Axes(Vec<Axis>);

impl Axes {
    pub(crate) fn get(&self, id: AxisId) -> &Axis {
        &self.0[id.0 as usize]
    }

    /// The axis of that name, made where there is none yet.
    pub(crate) fn declare(&mut self, scope: &str, name: &str) -> AxisId {
        let found = self.0.iter().position(|axis| axis.scope == scope && axis.name == name);
        let at = found.unwrap_or_else(|| {
            self.0.push(Axis { scope: scope.to_owned(), name: name.to_owned(), values: Vec::new() });
            self.0.len() - 1
        });
        AxisId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The number of a value, added where it is new.
    ///
    /// # Errors
    /// The other value that has this label.
    pub(crate) fn value(&mut self, id: AxisId, label: &str, tree: &Tree) -> Result<u32, Tree> {
        let values = &mut self.0[id.0 as usize].values;
        let at = match values.iter().position(|(other, _)| other == label) {
            Some(at) if values[at].1.is_like(tree) => at,
            Some(at) => return Err(values[at].1.clone()),
            None => {
                values.push((label.to_owned(), tree.clone()));
                values.len() - 1
            }
        };
        Ok(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The value of an axis in a combination.
    pub(crate) fn chosen(&self, combo: &Combo, id: AxisId) -> Option<&(String, Tree)> {
        self.get(id).values.get(combo.get(id)? as usize)
    }

    /// The names and labels of a combination. An axis whose name another one has too is called by
    /// where it was declared.
    pub(crate) fn labels(&self, combo: &Combo) -> Vec<(String, String)> {
        let name = |id: AxisId| {
            let axis = self.get(id);
            let alone = combo.0.iter().filter(|(other, _)| self.get(*other).name == axis.name).count() == 1;
            if alone { axis.name.clone() } else { format!("{}{}", axis.scope, axis.name) }
        };
        combo.0.iter().map(|&(id, at)| (name(id), self.get(id).values[at as usize].0.clone())).collect()
    }
}

/// `lr=0.01,model=b0`.
pub(crate) fn written(labels: &[(String, String)]) -> String {
    labels.iter().map(|(name, label)| format!("{name}={label}")).collect::<Vec<_>>().join(",")
}

/// One value of each of some axes, sorted by axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Combo(Vec<(AxisId, u32)>);

impl Combo {
    pub(crate) fn new(mut values: Vec<(AxisId, u32)>) -> Self {
        values.sort_unstable();
        Self(values)
    }

    pub(crate) fn get(&self, id: AxisId) -> Option<u32> {
        self.0.iter().find(|(axis, _)| *axis == id).map(|&(_, at)| at)
    }

    /// The part of it that is about these axes.
    pub(crate) fn only(&self, axes: &BTreeSet<AxisId>) -> Self {
        Self(self.0.iter().filter(|(axis, _)| axes.contains(axis)).copied().collect())
    }

    /// Both together, where they agree on what they share.
    fn merge(&self, other: &Self) -> Self {
        let more = other.0.iter().filter(|(axis, _)| self.get(*axis).is_none());
        Self::new(self.0.iter().chain(more).copied().collect())
    }

    /// Whether it has all the values of another.
    pub(crate) fn has(&self, other: &Self) -> bool {
        other.0.iter().all(|value| self.0.contains(value))
    }
}

/// Something for each of some combinations.
#[derive(Debug, Clone)]
pub(crate) struct Varying<T> {
    axes: BTreeSet<AxisId>,
    rows: Vec<(Combo, T)>,
    index: HashMap<Combo, usize>,
}

/// Combinations alone.
pub(crate) type Relation = Varying<()>;

impl<T> Varying<T> {
    /// The same everywhere.
    pub(crate) fn constant(value: T) -> Self {
        Self::new(BTreeSet::new(), [(Combo::default(), value)])
    }

    /// From rows about exactly these axes; of rows about the same combination the first holds.
    pub(crate) fn new(axes: BTreeSet<AxisId>, rows: impl IntoIterator<Item = (Combo, T)>) -> Self {
        let mut varying = Self { axes, rows: Vec::new(), index: HashMap::new() };
        for (combo, value) in rows {
            if !varying.index.contains_key(&combo) {
                varying.index.insert(combo.clone(), varying.rows.len());
                varying.rows.push((combo, value));
            }
        }
        varying
    }

    pub(crate) fn axes(&self) -> &BTreeSet<AxisId> {
        &self.axes
    }

    pub(crate) fn rows(&self) -> &[(Combo, T)] {
        &self.rows
    }

    /// What holds under a combination, which may be about further axes.
    pub(crate) fn at(&self, combo: &Combo) -> Option<&T> {
        self.index.get(&combo.only(&self.axes)).map(|&at| &self.rows[at].1)
    }

    pub(crate) fn map<U>(&self, mut value: impl FnMut(&T) -> U) -> Varying<U> {
        let rows = self.rows.iter().map(|(combo, held)| (combo.clone(), value(held))).collect();
        Varying { axes: self.axes.clone(), rows, index: self.index.clone() }
    }

    /// The combinations, about these axes only.
    pub(crate) fn project(&self, axes: &BTreeSet<AxisId>) -> Relation {
        let kept: BTreeSet<AxisId> = self.axes.intersection(axes).copied().collect();
        let rows: Vec<_> = self.rows.iter().map(|(combo, _)| (combo.only(&kept), ())).collect();
        Varying::new(kept, rows)
    }

    /// The combinations alone.
    pub(crate) fn relation(&self) -> Relation {
        self.map(|_| ())
    }
}

impl Relation {
    /// The natural join: every two rows that agree on the axes that both are about. `None` where
    /// it has more than `most` rows.
    pub(crate) fn join<T>(&self, other: &Varying<T>, most: usize) -> Option<Self> {
        let shared: BTreeSet<AxisId> = self.axes.intersection(&other.axes).copied().collect();
        let mut by_shared: HashMap<Combo, Vec<&Combo>> = HashMap::new();
        for (combo, _) in &other.rows {
            by_shared.entry(combo.only(&shared)).or_default().push(combo);
        }
        let mut rows = Vec::new();
        for (combo, ()) in &self.rows {
            let found = by_shared.get(&combo.only(&shared)).map(Vec::as_slice).unwrap_or_default();
            if rows.len() + found.len() > most {
                return None;
            }
            rows.extend(found.iter().map(|other| (combo.merge(other), ())));
        }
        Some(Self::new(self.axes.union(&other.axes).copied().collect(), rows))
    }

    /// Without the rows that another relation, about some of the same axes, does not have.
    pub(crate) fn within(&self, other: &Self) -> Self {
        let allowed = other.project(&self.axes);
        let rows: Vec<_> = self.rows.iter().filter(|(combo, ())| allowed.at(combo).is_some()).cloned().collect();
        Self::new(self.axes.clone(), rows)
    }
}
