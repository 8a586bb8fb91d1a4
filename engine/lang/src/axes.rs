//! `matrix:`, the axes of a node and the combinations that are left of them.

use std::collections::BTreeSet;

use crate::elaborate::Elaboration;
use crate::matrix::{AxisId, Combo, Relation};
use crate::params::{At, MAX_COMBINATIONS};
use crate::problem::Problem;
use crate::scope::Scope;
use crate::suggest;
use crate::tree::{Key, Node, Tree};

/// The longest label of a value.
const MAX_LABEL: usize = 60;

/// Whether a text can name a node, an input or an axis.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// Whether a text can name a value of an axis: `0.01` in `head[lr=0.01]`.
fn is_label(text: &str) -> bool {
    is_mark(text) && text.len() <= MAX_LABEL && !text.contains([',', '='])
}

/// Whether a text can tell one of many apart: `lr=0.01,model=b0`. It becomes the name of a file.
pub(crate) fn is_mark(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"[]/\\".contains(c);
    !text.is_empty() && text.chars().all(plain) && text != "." && text != ".."
}

impl Elaboration<'_> {
    /// The combinations of a node's own matrix; `None` after saying what is wrong with it.
    pub(crate) fn matrix(&mut self, scope: &mut Scope, tree: &Tree) -> Option<Relation> {
        let tree = scope.params.fill(&mut self.cx, tree, At::nowhere());
        if tree.is_mistake() {
            return None;
        }
        let (mut axes, mut exclude, mut include) = (Vec::new(), None, None);
        for (key, value) in self.cx.entries(tree.clone(), "`matrix`")? {
            match key.text.as_str() {
                "exclude" => exclude = Some(value),
                "include" => include = Some(value),
                _ => axes.push((key, value)),
            }
        }
        let mut own: Vec<(String, AxisId)> = Vec::new();
        let mut relation = Relation::constant(());
        for (key, value) in axes {
            if !is_name(&key.text) {
                let message = format!("`{}` cannot be the name of an axis", key.text);
                let problem = Problem::new("pipe::syntax", message, key.span, "this name");
                self.cx.problems.push(problem.help("a name is made of letters, digits, `_` and `-`"));
                return None;
            }
            let id = self.cx.axes.declare(&scope.path, &key.text);
            let values = self.values(id, &key, value)?;
            let axis =
                Relation::new(BTreeSet::from([id]), values.into_iter().map(|at| (Combo::new(vec![(id, at)]), ())));
            relation = self.joined(&relation, &axis, key.span)?;
            own.push((key.text, id));
        }
        if own.is_empty() {
            let problem = Problem::new("pipe::missing_param", "`matrix` has no axes", tree.span, "needed here");
            self.cx.problems.push(problem.help("write an axis and its values: `lr: [0.001, 0.01]`"));
            return None;
        }
        let excluded = self.combos(exclude.as_ref(), "exclude", &own, false)?;
        let included = self.combos(include.as_ref(), "include", &own, true)?;
        let kept = relation.rows().iter().filter(|(combo, ())| !excluded.iter().any(|out| combo.has(out)));
        let rows: Vec<_> = kept.cloned().chain(included.into_iter().map(|combo| (combo, ()))).collect();
        if rows.len() > MAX_COMBINATIONS {
            let message = format!("more than {MAX_COMBINATIONS} combinations");
            self.cx.problems.push(Problem::new("pipe::too_large", message, tree.span, "this matrix"));
            return None;
        }
        if rows.is_empty() {
            let problem =
                Problem::new("pipe::empty_matrix", "the matrix has no combinations", tree.span, "this matrix");
            self.cx.problems.push(problem.help("give each axis at least one value, and `exclude` fewer"));
            return None;
        }
        Some(Relation::new(relation.axes().clone(), rows))
    }

    /// The values of an axis: a list of plain ones, or a mapping from labels to any.
    fn values(&mut self, id: AxisId, key: &Key, tree: Tree) -> Option<Vec<u32>> {
        let found = tree.describe();
        let labelled: Vec<(Option<Key>, Tree)> = match tree.node {
            Node::Mistake => return None,
            Node::List(items) => items.into_iter().map(|item| (None, item)).collect(),
            Node::Map(entries) => entries.into_iter().map(|(key, value)| (Some(key), value)).collect(),
            Node::Scalar(_) => {
                let message = format!("the axis `{}` is {found}, expected a list of values", key.text);
                let problem = Problem::new("pipe::wrong_type", message, tree.span, "expected a list");
                self.cx.problems.push(problem.help(format!("write `{}: [first, second]`", key.text)));
                return None;
            }
        };
        labelled.into_iter().map(|(label, value)| self.value(id, &key.text, label, &value)).collect()
    }

    fn value(&mut self, id: AxisId, axis: &str, label: Option<Key>, value: &Tree) -> Option<u32> {
        let (text, span) = match (&label, &value.node) {
            (Some(key), _) => (key.text.as_str(), key.span),
            (None, Node::Scalar(scalar)) if scalar.is_null() => ("", value.span),
            (None, Node::Scalar(scalar)) => (scalar.text.as_str(), value.span),
            (None, Node::Mistake) => return None,
            (None, _) => ("", value.span),
        };
        if !is_label(text) {
            let message = format!("a value of `{axis}` cannot stand in the name of a node");
            let problem = Problem::new("pipe::syntax", message, span, "this value");
            let help = format!(
                "give it a short name: `{axis}: {{ name: value }}`, without spaces and `[`, `]`, `,`, `=`, `/`"
            );
            self.cx.problems.push(problem.help(help));
            return None;
        }
        match self.cx.axes.value(id, text, value) {
            Ok(at) => Some(at),
            Err(other) => {
                let message = format!("the axis `{axis}` has two values called `{text}`");
                let problem = Problem::new("pipe::duplicate_key", message, value.span, "again here");
                self.cx.problems.push(problem.label(other.span, "first here").help("call one of them something else"));
                None
            }
        }
    }

    /// What `exclude` or `include` lists.
    fn combos(&mut self, tree: Option<&Tree>, what: &str, own: &[(String, AxisId)], whole: bool) -> Option<Vec<Combo>> {
        let Some(tree) = tree else { return Some(Vec::new()) };
        let Node::List(items) = &tree.node else {
            let message = format!("`{what}` is {}, expected a list of combinations", tree.describe());
            self.cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "expected a list"));
            return None;
        };
        let mut combos = Vec::new();
        for item in items {
            let mut values = Vec::new();
            for (key, value) in self.cx.entries(item.clone(), "a combination")? {
                let Some(&(_, id)) = own.iter().find(|(name, _)| *name == key.text) else {
                    let help = suggest::help(&key.text, "axes", own.iter().map(|(name, _)| name.as_str()));
                    let message = format!("the matrix has no axis `{}`", key.text);
                    self.cx.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
                    return None;
                };
                values.push((id, self.combo_value(id, &key.text, &value, whole)?));
            }
            if let Some((missing, _)) = own.iter().find(|(_, id)| whole && values.iter().all(|(other, _)| other != id))
            {
                let message = format!("the combination does not say `{missing}`");
                let problem = Problem::new("pipe::missing_param", message, item.span, "this combination");
                self.cx.problems.push(problem.help("a combination that is added names every axis of the matrix"));
                return None;
            }
            combos.push(Combo::new(values));
        }
        Some(combos)
    }

    /// A value by its label; one that `include` brings may be new.
    fn combo_value(&mut self, id: AxisId, axis: &str, value: &Tree, new: bool) -> Option<u32> {
        let label = match &value.node {
            Node::Scalar(scalar) => scalar.text.clone(),
            _ => String::new(),
        };
        let values = &self.cx.axes.get(id).values;
        if let Some(at) = values.iter().position(|(other, _)| *other == label) {
            return u32::try_from(at).ok();
        }
        if new {
            return self.value(id, axis, None, value);
        }
        let labels: Vec<String> = values.iter().map(|(label, _)| label.clone()).collect();
        let help = suggest::help(&label, "values", labels.iter().map(String::as_str));
        let message = format!("`{axis}` is never `{label}`");
        self.cx
            .problems
            .push(Problem::new("pipe::unknown_key", message, value.span, "not one of its values").help(help));
        None
    }
}
