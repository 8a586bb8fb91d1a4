//! `from:`: what each input of a node is connected to.

use std::collections::{BTreeSet, HashMap};

use pipe_spec::ArtifactType;

use crate::Span;
use crate::axes::{is_mark, is_name};
use crate::context::used;
use crate::elaborate::Elaboration;
use crate::matrix::{AxisId, Combo, Varying, written};
use crate::problem::Problem;
use crate::reference::{Choose, Reference};
use crate::scope::Scope;
use crate::suggest;
use crate::tree::{Key, Node, Tree};
use crate::wired::{Target, Wired};

/// An input of a node with what is connected to it.
pub(crate) struct Wire {
    /// The name of the input.
    pub(crate) input: String,
    /// What this one of many is called.
    pub(crate) label: Option<String>,
    /// Whether the author called it so, rather than that it is called after its node.
    pub(crate) named: bool,
    /// What was written.
    pub(crate) tree: Tree,
}

/// What a node takes: the ports of its kind or the inputs of a sub-pipeline.
pub(crate) struct Takes<'k> {
    pub(crate) ports: &'k [(&'k str, ArtifactType, bool)],
    pub(crate) more: bool,
    /// What messages call the kind.
    pub(crate) what: &'k str,
}

/// The names that a `from:` mentions, each with its place.
pub(crate) fn mentioned(from: &Tree, found: &mut Vec<(String, Span)>) {
    match &from.node {
        Node::List(items) => items.iter().for_each(|item| mentioned(item, found)),
        Node::Map(entries) => entries.iter().for_each(|(_, value)| mentioned(value, found)),
        Node::Scalar(scalar) => {
            let name = scalar.text.split(['.', '[']).next().unwrap_or_default();
            found.push((name.to_owned(), from.span));
        }
        Node::Mistake => {}
    }
}

impl Elaboration<'_> {
    /// What is written for each input; `None` when it has been refused as a whole.
    pub(crate) fn wires(&mut self, key: &Key, from: Option<&Tree>, takes: &Takes<'_>) -> Option<Vec<Wire>> {
        let Some(tree) = from else {
            self.missing(key, takes, &[], false);
            return Some(Vec::new());
        };
        let mut wires = Vec::new();
        match &tree.node {
            Node::Mistake => return None,
            Node::Map(entries) => {
                let mut unknown = false;
                for (name, value) in entries {
                    match takes.ports.iter().find(|(port, ..)| *port == name.text) {
                        Some(&(_, _, many)) => self.wires_of(&name.text, value, many, &mut wires)?,
                        None if takes.more => {
                            self.name(name, is_name)?;
                            self.wires_of(&name.text, value, true, &mut wires)?;
                        }
                        None => {
                            unknown = true;
                            self.unknown_input(name, takes);
                        }
                    }
                }
                self.missing(key, takes, &wires, unknown);
            }
            // Without names of their own, inputs are called after the nodes that they come from.
            Node::List(items) if takes.more => {
                for item in items {
                    let name = called_after(&self.cx.word(item, "an input")?);
                    if let Some(other) = wires.iter().find(|other: &&Wire| other.input == name) {
                        let message = format!("two inputs of `{}` are called `{name}`", key.text);
                        let problem = Problem::new("pipe::duplicate_key", message, item.span, "again here");
                        let problem = problem.label(other.tree.span, "first here");
                        self.cx.problems.push(problem.help("give them names: `from: { one: NODE, other: NODE }`"));
                        return None;
                    }
                    wires.push(Wire { input: name, label: None, named: false, tree: item.clone() });
                }
            }
            _ if takes.more && takes.ports.is_empty() => {
                let reference = self.cx.word(tree, &format!("`from` of `{}`", key.text))?;
                wires.push(Wire { input: called_after(&reference), label: None, named: false, tree: tree.clone() });
            }
            _ => match takes.ports {
                [(name, _, many)] => self.wires_of(name, tree, *many, &mut wires)?,
                [] => {
                    let message = format!("`{}` takes no inputs", takes.what);
                    let problem = Problem::new("pipe::unknown_key", message, tree.span, "not used");
                    self.cx.problems.push(problem.help("remove `from:`"));
                    return None;
                }
                _ => {
                    let wanted: Vec<_> = takes.ports.iter().map(|(name, ..)| format!("{name}: NODE")).collect();
                    let message = format!("`{}` has {} inputs", takes.what, takes.ports.len());
                    let problem = Problem::new("pipe::missing_input", message, tree.span, "which of them is this?");
                    self.cx.problems.push(problem.help(format!("write `from: {{ {} }}`", wanted.join(", "))));
                    return None;
                }
            },
        }
        Some(wires)
    }

    /// What is written for one input: a reference, or where it takes many, a list or a mapping of them.
    fn wires_of(&mut self, input: &str, tree: &Tree, many: bool, wires: &mut Vec<Wire>) -> Option<()> {
        let input = input.to_owned();
        let nothing = matches!(&tree.node, Node::List(items) if items.is_empty())
            || matches!(&tree.node, Node::Map(entries) if entries.is_empty());
        if many && nothing {
            let message = format!("nothing is connected to the input `{input}`");
            self.cx
                .problems
                .push(Problem::new("pipe::missing_input", message, tree.span, "empty").help("name at least one node"));
            return None;
        }
        match &tree.node {
            Node::List(items) if many => {
                for item in items {
                    let label = Some(called_after(&self.cx.word(item, "an input")?));
                    wires.push(Wire { input: input.clone(), label, named: false, tree: item.clone() });
                }
            }
            Node::Map(entries) if many => {
                for (label, item) in entries {
                    self.name(label, is_mark)?;
                    let label = Some(label.text.clone());
                    wires.push(Wire { input: input.clone(), label, named: true, tree: item.clone() });
                }
            }
            _ => wires.push(Wire { input, label: None, named: false, tree: tree.clone() }),
        }
        Some(())
    }

    /// Refuses a name that an author gave to an input.
    fn name(&mut self, key: &Key, fits: fn(&str) -> bool) -> Option<()> {
        if fits(&key.text) {
            return Some(());
        }
        let message = format!("`{}` cannot be the name of an input", key.text);
        let problem = Problem::new("pipe::syntax", message, key.span, "this name");
        self.cx.problems.push(problem.help("a name is made of letters, digits, `_` and `-`"));
        None
    }

    /// Inputs that nothing is written for.
    fn missing(&mut self, key: &Key, takes: &Takes<'_>, wires: &[Wire], unknown: bool) {
        if unknown {
            return;
        }
        for (name, artifact, _) in takes.ports.iter().filter(|(name, ..)| wires.iter().all(|wire| wire.input != *name))
        {
            let help = match takes.ports {
                [_] => format!("add `from:` with the node that gives {artifact}"),
                _ => format!("add `{name}: NODE` to `from:`"),
            };
            let message = format!("the node `{}` has no input `{name}`", key.text);
            let problem = Problem::new("pipe::missing_input", message, key.span, format!("needs {artifact}"));
            self.cx.problems.push(problem.help(help));
        }
    }

    fn unknown_input(&mut self, key: &Key, takes: &Takes<'_>) {
        let help = suggest::help(&key.text, "inputs", takes.ports.iter().map(|(name, ..)| *name));
        let message = format!("`{}` has no input `{}`", takes.what, key.text);
        self.cx.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
    }

    /// What a reference leads to; `None` after saying why nowhere, or where the node that it names has
    /// mistakes of its own.
    /// `reader` is the node that asks.
    pub(crate) fn resolve(&mut self, scope: &Scope, tree: &Tree, reader: &str) -> Option<Wired> {
        if tree.is_mistake() {
            return None;
        }
        let text = self.cx.word(tree, &format!("`from` of `{reader}`"))?;
        let reference = match Reference::parse(&text) {
            Ok(reference) => reference,
            Err(why) => {
                let problem = Problem::new("pipe::syntax", format!("`{text}` names no node: {why}"), tree.span, "here");
                let help = "write `NODE`, `NODE.OUTPUT`, `NODE[axis=value]` or `NODE[*]`, in quotes inside `{ }`";
                self.cx.problems.push(problem.help(help));
                return None;
            }
        };
        let name = reference.name.as_str();
        let Some(entity) = scope.entities.get(name) else {
            let problem =
                Problem::new("pipe::unknown_node", format!("there is no node `{name}`"), tree.span, "not known");
            let help =
                suggest::help(name, "nodes", scope.names.iter().map(String::as_str).filter(|other| *other != reader));
            self.cx.problems.push(used(problem.help(help), tree));
            return None;
        };
        let entity = entity.as_ref()?;
        let found = match &reference.output {
            Some(output) => entity.outputs.iter().find(|(name, _)| name == output),
            None => entity.outputs.first(),
        };
        let Some((_, wired)) = found else {
            let Some(output) = reference.output.as_deref() else {
                let problem =
                    Problem::new("pipe::unknown_node", format!("`{name}` gives nothing"), tree.span, "read here");
                self.cx.problems.push(problem.help("name what it gives: `outputs: { name: NODE }`, in its file"));
                return None;
            };
            let help = suggest::help(output, "outputs", entity.outputs.iter().map(|(name, _)| name.as_str()));
            let message = format!("`{name}` has no output `{output}`");
            self.cx.problems.push(Problem::new("pipe::unknown_node", message, tree.span, "not known").help(help));
            return None;
        };
        let mut wired = wired.clone();
        for choice in &reference.choices {
            wired = self.choose(scope, &wired, choice, name, tree)?;
        }
        Some(wired)
    }

    fn choose(&mut self, scope: &Scope, wired: &Wired, choice: &Choose, node: &str, tree: &Tree) -> Option<Wired> {
        let axes = wired.0.axes();
        match choice {
            Choose::All => {
                // What varies outside of a sub-pipeline stays apart inside it.
                let own = axes.iter().filter(|&&id| self.cx.axes.get(id).scope.starts_with(&scope.path));
                let own: BTreeSet<AxisId> = own.copied().collect();
                Some(self.gather(wired, &own))
            }
            Choose::AllOf(name) => {
                let id = self.axis(scope, axes, name, node, tree)?;
                Some(self.gather(wired, &BTreeSet::from([id])))
            }
            Choose::One(name, label) => {
                let id = self.axis(scope, axes, name, node, tree)?;
                let values = &self.cx.axes.get(id).values;
                let number = |text: &str| text.parse::<f64>().ok();
                let equal = |other: &str| number(label).is_some() && number(other) == number(label);
                let found = values.iter().position(|(other, _)| other == label);
                let found = found.or_else(|| values.iter().position(|(other, _)| equal(other)));
                let rest: BTreeSet<AxisId> = axes.iter().copied().filter(|axis| *axis != id).collect();
                let chosen = |combo: &Combo| found.is_some() && combo.get(id).map(|at| at as usize) == found;
                let rows = wired.0.rows().iter().filter(|(combo, _)| chosen(combo));
                let rows: Vec<_> = rows.map(|(combo, targets)| (combo.only(&rest), targets.clone())).collect();
                if rows.is_empty() {
                    let labels: Vec<String> = values.iter().map(|(label, _)| label.clone()).collect();
                    let help = suggest::help(label, "values", labels.iter().map(String::as_str));
                    let message = format!("`{name}` is never `{label}` on `{node}`");
                    let problem = Problem::new("pipe::unknown_node", message, tree.span, "not one of its values");
                    self.cx.problems.push(problem.help(help));
                    return None;
                }
                Some(Wired(Varying::new(rest, rows)))
            }
        }
    }

    fn axis(&mut self, scope: &Scope, axes: &BTreeSet<AxisId>, name: &str, node: &str, tree: &Tree) -> Option<AxisId> {
        let names = self.axes_at(scope, axes);
        let found = names.get(name).copied();
        if found.is_none() && !scope.is_unsure(tree) {
            let help = suggest::help(name, "axes that it varies with", names.keys().map(String::as_str));
            let message = format!("`{node}` does not vary with `{name}`");
            self.cx.problems.push(Problem::new("pipe::unknown_node", message, tree.span, "not known").help(help));
        }
        found
    }

    /// Brings the rows together that differ in these axes only, each with what tells it apart.
    fn gather(&self, wired: &Wired, gathered: &BTreeSet<AxisId>) -> Wired {
        if gathered.is_empty() {
            return wired.clone();
        }
        let rest: BTreeSet<AxisId> = wired.0.axes().difference(gathered).copied().collect();
        let mut at: HashMap<Combo, usize> = HashMap::new();
        let mut rows: Vec<(Combo, Vec<(String, Target)>)> = Vec::new();
        for (combo, targets) in wired.0.rows() {
            let own = written(&self.cx.axes.labels(&combo.only(gathered)));
            let key = combo.only(&rest);
            let row = *at.entry(key.clone()).or_insert_with(|| {
                rows.push((key, Vec::new()));
                rows.len() - 1
            });
            rows[row].1.extend(targets.iter().map(|(label, target)| {
                let label = if label.is_empty() { own.clone() } else { format!("{own},{label}") };
                (label, target.clone())
            }));
        }
        Wired(Varying::new(rest, rows))
    }
}

/// The name of an input that has none of its own: that of the output it is connected to, or of
/// the node where no output is named.
pub(crate) fn called_after(reference: &str) -> String {
    match Reference::parse(reference) {
        Ok(Reference { name, output, .. }) => output.unwrap_or(name),
        Err(_) => reference.to_owned(),
    }
}
