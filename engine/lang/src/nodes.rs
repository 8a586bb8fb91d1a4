//! The entries of `nodes:`, each of one kind or a sub-pipeline, under each combination of a matrix.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipe_spec::{KindSpec, Port, Shape};
use serde_json::Value;

use crate::Span;
use crate::axes::is_name;
use crate::context::used;
use crate::decode::Decoder;
use crate::elaborate::{Draft, Elaboration};
use crate::inputs::{Takes, Wire, called_after};
use crate::matrix::{AxisId, Combo, Relation, Varying, written};
use crate::params::{At, MAX_COMBINATIONS, asked_axes, size};
use crate::pipeline::{Edge, Node, Off};
use crate::problem::Problem;
use crate::scope::{Entity, Scope};
use crate::suggest;
use crate::tree::{self, Key, Tree};
use crate::wired::{Target, Targets, Wired};

/// The keys of a node.
pub(crate) const KEYS: [&str; 8] = ["kind", "uses", "with", "from", "when", "matrix", "keep", "export"];

/// An entry of `nodes:`.
pub(crate) struct Entry {
    pub(crate) key: Key,
    /// Its place among the others.
    pub(crate) place: u32,
    /// `from:`, params filled in.
    pub(crate) from: Option<Tree>,
    parts: BTreeMap<String, (Key, Tree)>,
}

impl Entry {
    pub(crate) fn part(&self, name: &str) -> Option<&Tree> {
        self.parts.get(name).map(|(_, tree)| tree)
    }
}

/// An input with what is connected to it.
pub(crate) struct Connected {
    pub(crate) wire: Wire,
    pub(crate) wired: Wired,
}

impl Elaboration<'_> {
    /// Takes the nodes of a text, each after all it needs.
    pub(crate) fn nodes(&mut self, scope: &mut Scope, nodes: Vec<(Key, Tree)>) {
        let mut entries = Vec::new();
        for (place, (key, tree)) in nodes.into_iter().enumerate() {
            if let Some(entry) = self.entry(scope, u32::try_from(place).unwrap_or(u32::MAX), key, tree) {
                entries.push(entry);
            }
        }
        for at in self.order(&entries) {
            if self.is_spent() {
                return;
            }
            let entry = &entries[at];
            let entity = match (entry.part("kind"), entry.part("uses")) {
                (Some(kind), None) => self.node(scope, entry, kind),
                (None, Some(uses)) => self.part(scope, entry, uses),
                (Some(_), Some(uses)) => {
                    let message = format!("the node `{}` has both `kind` and `uses`", entry.key.text);
                    let problem = Problem::new("pipe::unknown_key", message, uses.span, "one of the two");
                    self.cx.problems.push(problem.help("`kind` is one node, `uses` a whole pipeline"));
                    None
                }
                (None, None) => {
                    let message = format!("the node `{}` has no `kind`", entry.key.text);
                    let problem = Problem::new("pipe::missing_param", message, entry.key.span, "this node");
                    self.cx.problems.push(problem.help("add `kind:`; `pipe nodes` lists the kinds"));
                    None
                }
            };
            if entity.is_none() && self.cx.problems.is_empty() {
                let message = format!("nothing came of the node `{}`", entry.key.text);
                self.cx.problems.push(Problem::new("pipe::internal", message, entry.key.span, "this node"));
            }
            scope.entities.insert(entry.key.text.clone(), entity);
        }
    }

    fn entry(&mut self, scope: &mut Scope, place: u32, key: Key, tree: Tree) -> Option<Entry> {
        if !is_name(&key.text) {
            let message = format!("`{}` cannot be the name of a node", key.text);
            let problem = Problem::new("pipe::syntax", message, key.span, "this name");
            self.cx.problems.push(problem.help("a name is made of letters, digits, `_` and `-`"));
            return None;
        }
        if let Some(Some(input)) = scope.entities.get(&key.text) {
            let message = format!("`{}` is an input and a node", key.text);
            let problem = Problem::new("pipe::duplicate_key", message, key.span, "again here");
            self.cx.problems.push(problem.label(input.span, "first here").help("give one of them another name"));
            return None;
        }
        // Until it has been looked at, a node is one with mistakes of its own to those who read it.
        scope.add(&key, None);
        let parts = self.cx.keys(tree, &format!("the node `{}`", key.text), &KEYS)?;
        for name in ["kind", "uses", "from"] {
            if let Some((_, tree)) = parts.get(name)
                && let Some(asking) = asked_axes(tree).into_values().next()
            {
                let span = asking.span;
                let message = format!("`{name}` cannot vary with a matrix");
                let problem = Problem::new("pipe::unknown_param", message, span, "varies");
                let help = "a node fans out with its input; `NODE[axis=value]` picks one of its values";
                self.cx.problems.push(problem.help(help));
                return None;
            }
        }
        let from = parts.get("from").map(|(_, tree)| scope.params.fill(&mut self.cx, tree, At::nowhere()));
        Some(Entry { key, place, from, parts })
    }

    /// What is connected to each input, and whether something with mistakes is left out.
    pub(crate) fn connected(&mut self, scope: &Scope, entry: &Entry, takes: &Takes<'_>) -> (Vec<Connected>, bool) {
        let wires = self.wires(&entry.key, entry.from.as_ref(), takes);
        let mut unsure = wires.is_none();
        let wires = wires.unwrap_or_default();
        let mut connected = Vec::new();
        for wire in wires {
            let Some(wired) = self.resolve(scope, &wire.tree, &entry.key.text) else {
                unsure = true;
                continue;
            };
            unsure |= scope.is_unsure(&wire.tree);
            let port = takes.ports.iter().find(|(name, ..)| *name == wire.input);
            if let (Some(&(_, wanted, _)), Some(given)) = (port, wired.artifact())
                && wanted != given
            {
                self.refuse_type(scope, entry, &wire, wanted, given);
                unsure = true;
                continue;
            }
            connected.push(Connected { wire, wired });
        }
        (connected, unsure)
    }

    fn refuse_type(
        &mut self,
        scope: &Scope,
        entry: &Entry,
        wire: &Wire,
        wanted: pipe_spec::ArtifactType,
        given: pipe_spec::ArtifactType,
    ) {
        let reference = self.cx.word(&wire.tree, "an input").unwrap_or_default();
        let name = reference.split(['.', '[']).next().unwrap_or_default();
        let gives = |other: &&String| {
            let entity = scope.entities.get(*other).and_then(Option::as_ref);
            let fits = |entity: &Entity| entity.outputs.iter().any(|(_, wired)| wired.artifact() == Some(wanted));
            **other != entry.key.text && entity.is_some_and(fits)
        };
        let fitting: Vec<String> = scope.names.iter().filter(gives).map(|name| format!("`{name}`")).collect();
        let help = match fitting.as_slice() {
            [] => format!("add a node that gives {wanted}"),
            fitting => format!("nodes that give {wanted}: {}", fitting.join(", ")),
        };
        let message = format!("`{}` takes {wanted}, `{name}` gives {given}", entry.key.text);
        let mut problem = Problem::new("pipe::type_mismatch", message, wire.tree.span, format!("{given} here"));
        if let Some(Some(entity)) = scope.entities.get(name) {
            problem = problem.label(entity.span, format!("`{}`", entity.what));
        }
        self.cx.problems.push(problem.help(help));
    }

    /// The axes that have a name at a node: its own, and those that come with its inputs. One that is
    /// declared inside a sub-pipeline is called `part/lr` from outside, or `lr` where no other is.
    pub(crate) fn axes_at(&self, scope: &Scope, axes: &BTreeSet<AxisId>) -> BTreeMap<String, AxisId> {
        let mut names = BTreeMap::new();
        let mut bare: BTreeMap<&str, Vec<AxisId>> = BTreeMap::new();
        for &id in axes {
            let axis = self.cx.axes.get(id);
            if let Some(inner) = axis.scope.strip_prefix(&scope.path) {
                names.insert(format!("{inner}{}", axis.name), id);
                bare.entry(&axis.name).or_default().push(id);
            }
        }
        for (name, ids) in bare {
            if let [only] = ids.as_slice() {
                names.insert(name.to_owned(), *only);
            }
        }
        names
    }

    /// A node of one kind, under each combination.
    fn node(&mut self, scope: &mut Scope, entry: &Entry, kind: &Tree) -> Option<Entity> {
        let kind_tree = scope.params.fill(&mut self.cx, kind, At::nowhere());
        let kind = self.kind(&kind_tree)?;
        let ports: Vec<_> = kind.inputs.iter().map(|port| (port.name, port.artifact, port.many)).collect();
        let takes = Takes { ports: &ports, more: kind.more_inputs, what: kind.name };
        let (connected, unsure) = self.connected(scope, entry, &takes);
        let own = match entry.part("matrix") {
            Some(tree) => self.matrix(scope, tree)?,
            None => Relation::constant(()),
        };
        let mut known: BTreeSet<AxisId> =
            connected.iter().flat_map(|connected| connected.wired.0.axes()).copied().collect();
        for name in ["with", "when", "keep", "export"] {
            if let Some(tree) = entry.part(name) {
                known.extend(scope.params.varies(&mut self.cx, tree));
            }
        }
        // What the text is used under comes first: joined later it would have to be cut down again.
        let mut relation = scope.varying(&known);
        for Connected { wired, .. } in &connected {
            relation = self.joined(&relation, &wired.0.relation(), entry.key.span)?;
        }
        relation = self.joined(&relation, &own, entry.key.span)?;
        let relation = scope.restricted(relation);
        if relation.rows().is_empty() {
            let message = format!("no combination is left for `{}`", entry.key.text);
            let problem = Problem::new("pipe::empty_matrix", message, entry.key.span, "this node");
            self.cx.problems.push(problem.help("its matrix and those of its inputs have no values in common"));
            return None;
        }
        let axes = self.axes_at(scope, relation.axes());
        let mut outputs: Vec<(String, Vec<(Combo, Targets)>)> =
            kind.outputs.iter().map(|port| (port.name.to_owned(), Vec::new())).collect();
        for (number, (combo, ())) in relation.rows().iter().enumerate() {
            let given =
                self.instance(scope, entry, &kind, &connected, number, At { combo, axes: Some(&axes), unsure })?;
            for ((_, rows), target) in outputs.iter_mut().zip(given) {
                rows.push((combo.clone(), vec![(String::new(), target)]));
            }
        }
        let wired = |rows| Wired(Varying::new(relation.axes().clone(), rows));
        Some(Entity {
            span: entry.key.span,
            what: kind.name.to_owned(),
            outputs: outputs.into_iter().map(|(name, rows)| (name, wired(rows))).collect(),
            unsure,
        })
    }

    pub(crate) fn joined(&mut self, one: &Relation, other: &Relation, span: Span) -> Option<Relation> {
        let joined = one.join(other, MAX_COMBINATIONS);
        if joined.is_none() {
            let message = format!("more than {MAX_COMBINATIONS} combinations");
            self.cx.problems.push(Problem::new("pipe::too_large", message, span, "varies with too much"));
        }
        joined
    }

    /// A node under one combination; what each of its outputs leads to.
    fn instance(
        &mut self,
        scope: &mut Scope,
        entry: &Entry,
        kind: &Arc<KindSpec>,
        connected: &[Connected],
        number: usize,
        at: At<'_>,
    ) -> Option<Vec<Target>> {
        let labels = self.cx.axes.labels(at.combo);
        let mut name = format!("{}{}", scope.path, entry.key.text);
        if !labels.is_empty() {
            name = format!("{name}[{}]", written(&labels));
        }
        let flag = |this: &mut Self, scope: &mut Scope, name: &str| {
            let tree = entry.part(name)?;
            let tree = scope.params.fill(&mut this.cx, tree, at);
            let mut decoder = this.decoder();
            decoder.decode(&tree, &Shape::Bool, name)
        };
        if !self.spend(1, entry.key.span) {
            return None;
        }
        if flag(self, scope, "when") == Some(Value::Bool(false)) {
            return Some(self.switched_off(kind, connected, name, at.combo));
        }
        let keep = flag(self, scope, "keep") == Some(Value::Bool(true));
        let with = match entry.part("with") {
            // What is written once and stands in many nodes is held as often.
            Some(tree) if !self.cx.count(size(tree), 0, tree.span) => return None,
            Some(tree) => scope.params.fill(&mut self.cx, tree, at),
            None => Tree::new(tree::Node::Map(Vec::new()), entry.key.span),
        };
        let Shape::Struct(fields) = &kind.params else { return None };
        let mut decoder = self.decoder();
        let params = decoder.fields(&with, fields, "");
        let spans = decoder.spans;
        let exports = match entry.part("export") {
            Some(tree) => self.exports(scope, tree, kind, at),
            None => Vec::new(),
        };
        let (reads, blocked) = self.reads(kind, connected, at.combo);
        let rank = scope.rank.iter().copied().chain([entry.place, u32::try_from(number).unwrap_or(u32::MAX)]).collect();
        let draft = self.drafts.len();
        let base = self.cx.sources.base(entry.key.span.source);
        let library = self.open.last().is_some_and(|place| self.language.library.contains_key(place.as_str()));
        let folder = if library { self.folder.clone() } else { base.to_owned() };
        // A node with mistakes in its params still takes part in the checks of the edges.
        let params = params.unwrap_or(Value::Null);
        if params.is_null() && self.cx.problems.is_empty() {
            self.cx.problems.push(Problem::new(
                "pipe::internal",
                "params without a value",
                entry.key.span,
                "this node",
            ));
        }
        let span = Some(entry.key.span);
        let kind = kind.clone();
        let targets = kind.outputs.iter().map(|port| Target::Draft(draft, *port)).collect();
        self.drafts.push(Draft {
            rank,
            node: Node { name, labels, folder, kind, params, spans, span, keep, exports, blocked },
            reads,
        });
        Some(targets)
    }

    pub(crate) fn decoder(&mut self) -> Decoder<'_> {
        Decoder { sources: self.cx.sources, problems: &mut self.cx.problems, spans: BTreeMap::new() }
    }

    /// The edges into a node under one combination, and the switched off node that it needs.
    fn reads(
        &mut self,
        kind: &KindSpec,
        connected: &[Connected],
        combo: &Combo,
    ) -> (Vec<(usize, Edge)>, Option<String>) {
        let mut reads: Vec<(usize, Edge)> = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        let mut blocked = None;
        for Connected { wire, wired } in connected {
            let Some(targets) = wired.0.at(combo) else { continue };
            let port = kind.inputs.iter().find(|port| port.name == wire.input);
            let many = port.is_none_or(|port| port.many);
            if !many && wired.is_gathered() {
                self.refuse_gathered(wire, kind);
                continue;
            }
            let all_off = targets.iter().all(|(_, target)| matches!(target, Target::Off(_)));
            for (label, target) in targets {
                match target {
                    Target::Draft(draft, output) => {
                        let input = input_name(wire, label, port);
                        if let Some(twice) = reads.iter().position(|(_, edge)| *edge.input == *input) {
                            let message = format!("two artifacts are called `{input}`");
                            let problem = Problem::new("pipe::duplicate_key", message, wire.tree.span, "again here");
                            let problem = problem.label(spans[twice], "first here");
                            self.cx.problems.push(problem.help("give them names: `{ one: NODE, other: NODE }`"));
                            continue;
                        }
                        spans.push(wire.tree.span);
                        reads.push((*draft, Edge { output: *output, input: input.into() }));
                    }
                    // What is gathered does without those that are switched off.
                    Target::Off(name) if all_off => blocked = Some(name.clone()),
                    Target::Off(_) | Target::Declared(_) => {}
                }
            }
        }
        (reads, blocked)
    }

    fn refuse_gathered(&mut self, wire: &Wire, kind: &KindSpec) {
        let message = format!("the input `{}` of `{}` takes one artifact, this is several", wire.input, kind.name);
        let problem = Problem::new("pipe::type_mismatch", message, wire.tree.span, "gathered here");
        self.cx.problems.push(problem.help("leave the `[*]` away, and the node fans out instead"));
    }

    /// What the outputs of a node lead to that is switched off: its input of the same type, or nothing.
    fn switched_off(&mut self, kind: &KindSpec, connected: &[Connected], name: String, combo: &Combo) -> Vec<Target> {
        let passes = |output: &Port| {
            let mut fitting = kind.inputs.iter().filter(|port| port.artifact == output.artifact && !port.many);
            let port = fitting.next().filter(|_| fitting.next().is_none())?;
            let input = connected.iter().find(|connected| connected.wire.input == port.name)?;
            match input.wired.0.at(combo)?.as_slice() {
                [(_, target)] => Some(target.clone()),
                _ => None,
            }
        };
        let targets: Vec<Option<Target>> = kind.outputs.iter().map(passes).collect();
        self.off.push(Off { name: name.clone(), passes: targets.iter().any(Option::is_some) });
        targets.into_iter().map(|target| target.unwrap_or_else(|| Target::Off(name.clone()))).collect()
    }

    fn kind(&mut self, tree: &Tree) -> Option<Arc<KindSpec>> {
        if tree.is_mistake() {
            return None;
        }
        let name = self.cx.word(tree, "`kind`")?;
        let found = self.language.kinds.iter().find(|kind| kind.name == name);
        if found.is_none() {
            let help = suggest::help(&name, "kinds", self.language.kinds.iter().map(|kind| kind.name));
            let problem =
                Problem::new("pipe::unknown_kind", format!("there is no kind `{name}`"), tree.span, "not known");
            self.cx.problems.push(used(problem.help(help), tree));
        }
        found.cloned()
    }
}

/// The name of an input: that of its port, with what one of many is called. A mapping names each itself; a
/// list calls each after its node, or by what tells it apart among those that were gathered.
fn input_name(wire: &Wire, label: &str, port: Option<&Port>) -> String {
    let own = match (&wire.label, &wire.tree.node) {
        (Some(own), _) => Some(own.clone()),
        (None, tree::Node::Scalar(scalar)) if port.is_some_and(|port| port.many) => Some(called_after(&scalar.text)),
        _ => None,
    };
    let label = match (own, label) {
        (Some(own), "") => own,
        (Some(own), label) if wire.named => format!("{own},{label}"),
        (_, label) => label.to_owned(),
    };
    if label.is_empty() { wire.input.clone() } else { format!("{}[{label}]", wire.input) }
}
