//! The entries of `nodes:`, each of one kind or a sub-pipeline, under each combination of a matrix.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use pipe_spec::{KindSpec, Port, Shape};
use serde_json::Value;

use crate::Span;
use crate::context::used;
use crate::decode::Decoder;
use crate::elaborate::{Draft, Elaboration, Entity, MAX_NODES, Scope};
use crate::inputs::{Takes, Target, Wire, Wired, called_after, mentioned};
use crate::matrix::{AxisId, Combo, Relation, Varying, written};
use crate::params::{At, MAX_COMBINATIONS};
use crate::pipeline::{Edge, Export, Node, Off};
use crate::problem::Problem;
use crate::suggest;
use crate::tree::{self, Key, Tree};

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
            scope.entities.insert(entry.key.text.clone(), entity);
        }
    }

    fn entry(&mut self, scope: &mut Scope, place: u32, key: Key, tree: Tree) -> Option<Entry> {
        let valid = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if key.text.is_empty() || !key.text.chars().all(valid) {
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
                && let Some(span) = asks_for_matrix(tree)
            {
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

    /// The entries so that each comes after all it needs; without those that need each other.
    fn order(&mut self, entries: &[Entry]) -> Vec<usize> {
        let by_name: HashMap<&str, usize> =
            entries.iter().enumerate().map(|(at, entry)| (entry.key.text.as_str(), at)).collect();
        let mut graph: DiGraph<(), Span> = DiGraph::new();
        for _ in entries {
            graph.add_node(());
        }
        for (to, entry) in entries.iter().enumerate() {
            let mut names = Vec::new();
            entry.from.iter().for_each(|from| mentioned(from, &mut names));
            for (name, span) in names {
                if let Some(&from) = by_name.get(name.as_str()) {
                    graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), span);
                }
            }
        }
        let mut lost = BTreeSet::new();
        for group in kosaraju_scc(&graph) {
            let itself = |&index: &NodeIndex| graph.find_edge(index, index).is_some();
            if group.len() > 1 || group.iter().any(itself) {
                self.refuse_cycle(entries, &graph, &group);
                lost.extend(group.iter().map(|index| index.index()));
            }
        }
        let mut waits: Vec<usize> = vec![0; entries.len()];
        graph.edge_indices().filter_map(|edge| graph.edge_endpoints(edge)).for_each(|(_, to)| waits[to.index()] += 1);
        let mut ready: BTreeSet<usize> = (0..entries.len()).filter(|&at| waits[at] == 0).collect();
        let mut order = Vec::new();
        while let Some(at) = ready.pop_first() {
            order.push(at);
            for next in graph.neighbors(NodeIndex::new(at)) {
                waits[next.index()] -= 1;
                if waits[next.index()] == 0 {
                    ready.insert(next.index());
                }
            }
        }
        // What comes after a cycle still has its own mistakes told.
        let taken: BTreeSet<usize> = order.iter().copied().collect();
        order.extend((0..entries.len()).filter(|at| !taken.contains(at) && !lost.contains(at)));
        order
    }

    fn refuse_cycle(&mut self, entries: &[Entry], graph: &DiGraph<(), Span>, group: &[NodeIndex]) {
        let name = |index: NodeIndex| &entries[index.index()].key.text;
        let mut edges: Vec<(Span, String)> = graph
            .edge_indices()
            .filter_map(|edge| Some((graph.edge_endpoints(edge)?, graph[edge])))
            .filter(|((from, to), _)| group.contains(from) && group.contains(to))
            .map(|((from, to), span)| (span, format!("`{}` needs `{}`", name(to), name(from))))
            .collect();
        edges.sort_by_key(|(span, _)| span.start);
        let mut nodes = group.to_vec();
        nodes.sort();
        let nodes: Vec<_> = nodes.into_iter().map(|index| format!("`{}`", name(index))).collect();
        let mut edges = edges.into_iter();
        if let Some((span, text)) = edges.next() {
            let message = match nodes.as_slice() {
                [only] => format!("{only} needs itself"),
                nodes => format!("{} need each other", nodes.join(", ")),
            };
            let problem = Problem::new("pipe::cycle", message, span, text);
            let problem = edges.fold(problem, |problem, (span, text)| problem.label(span, text));
            self.cx.problems.push(problem.help("a pipeline goes one way: take one of these edges away"));
        }
    }

    /// What is connected to each input; those with mistakes are left out.
    pub(crate) fn connected(&mut self, scope: &Scope, entry: &Entry, takes: &Takes<'_>) -> Vec<Connected> {
        let wires = self.wires(&entry.key, entry.from.as_ref(), takes).unwrap_or_default();
        let mut connected = Vec::new();
        for wire in wires {
            let Some(wired) = self.resolve(scope, &wire.tree, &entry.key.text) else { continue };
            let port = takes.ports.iter().find(|(name, ..)| *name == wire.input);
            if let (Some(&(_, wanted, _)), Some(given)) = (port, wired.artifact())
                && wanted != given
            {
                self.refuse_type(scope, entry, &wire, wanted, given);
                continue;
            }
            connected.push(Connected { wire, wired });
        }
        connected
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

    /// The axes that have a name at a node: its own, and those that come with its inputs.
    pub(crate) fn axes_at(&self, scope: &Scope, axes: &BTreeSet<AxisId>) -> BTreeMap<String, AxisId> {
        let mut names = BTreeMap::new();
        for &id in axes {
            let axis = self.cx.axes.get(id);
            if let Some(inner) = axis.scope.strip_prefix(&scope.path) {
                names.insert(format!("{inner}{}", axis.name), id);
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
        let connected = self.connected(scope, entry, &takes);
        let mut relation = match entry.part("matrix") {
            Some(tree) => self.matrix(scope, tree)?,
            None => Relation::constant(()),
        };
        let before = relation.clone();
        relation = Relation::constant(());
        for Connected { wired, .. } in &connected {
            relation = self.joined(&relation, &wired.0.relation(), entry.key.span)?;
        }
        relation = self.joined(&relation, &before, entry.key.span)?;
        for name in ["with", "when", "keep", "export"] {
            if let Some(tree) = entry.part(name) {
                let varies = scope.params.varies(&mut self.cx, tree).unwrap_or_else(|| Relation::constant(()));
                relation = self.joined(&relation, &varies, entry.key.span)?;
            }
        }
        let relation = relation.within(&scope.ambient);
        if relation.rows().is_empty() {
            let message = format!("no combination is left for `{}`", entry.key.text);
            let problem = Problem::new("pipe::empty_matrix", message, entry.key.span, "this node");
            self.cx.problems.push(problem.help("its matrix and those of its inputs have no values in common"));
            return None;
        }
        let axes = self.axes_at(scope, relation.axes());
        let mut outputs: Vec<(String, Vec<(Combo, Vec<(String, Target)>)>)> =
            kind.outputs.iter().map(|port| (port.name.to_owned(), Vec::new())).collect();
        for (number, (combo, ())) in relation.rows().iter().enumerate() {
            let given = self.instance(scope, entry, &kind, &connected, number, At { combo, axes: Some(&axes) })?;
            for ((_, rows), target) in outputs.iter_mut().zip(given) {
                rows.push((combo.clone(), vec![(String::new(), target)]));
            }
        }
        let wired = |rows| Wired(Varying::new(relation.axes().clone(), rows));
        Some(Entity {
            span: entry.key.span,
            what: kind.name.to_owned(),
            outputs: outputs.into_iter().map(|(name, rows)| (name, wired(rows))).collect(),
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
        if flag(self, scope, "when") == Some(Value::Bool(false)) {
            return Some(self.switched_off(kind, connected, name, at.combo));
        }
        if self.drafts.len() >= MAX_NODES {
            let message = format!("the pipeline has more than {MAX_NODES} nodes");
            self.cx.problems.push(Problem::new("pipe::too_large", message, entry.key.span, "counting stopped here"));
            return None;
        }
        let keep = flag(self, scope, "keep") == Some(Value::Bool(true));
        let with = match entry.part("with") {
            Some(tree) => scope.params.fill(&mut self.cx, tree, at),
            None => Tree::new(tree::Node::Map(Vec::new()), entry.key.span),
        };
        let Shape::Struct(fields) = &kind.params else { return None };
        let mut decoder = self.decoder();
        let params = decoder.fields(&with, fields, "");
        let spans = decoder.spans;
        let exports = match entry.part("export") {
            Some(tree) => {
                let tree = scope.params.fill(&mut self.cx, tree, at);
                let outputs: Vec<(&str, Port)> = kind.outputs.iter().map(|port| (port.name, *port)).collect();
                self.exports(&tree, kind.name, &outputs)
            }
            None => Vec::new(),
        };
        let (reads, blocked) = self.reads(kind, connected, at.combo);
        let rank = scope.rank.iter().copied().chain([entry.place, u32::try_from(number).unwrap_or(u32::MAX)]).collect();
        let draft = self.drafts.len();
        // A node with mistakes in its params still takes part in the checks of the edges.
        let params = params.unwrap_or(Value::Null);
        let span = Some(entry.key.span);
        let kind = kind.clone();
        let targets = kind.outputs.iter().map(|port| Target::Draft(draft, *port)).collect();
        self.drafts.push(Draft {
            rank,
            node: Node { name, labels, kind, params, spans, span, keep, exports, blocked },
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
        let mut blocked = None;
        for Connected { wire, wired } in connected {
            let Some(targets) = wired.0.at(combo) else { continue };
            let port = kind.inputs.iter().find(|port| port.name == wire.input);
            let many = port.is_none_or(|port| port.many);
            if !many && wired.is_gathered() {
                let message =
                    format!("the input `{}` of `{}` takes one artifact, this is several", wire.input, kind.name);
                let problem = Problem::new("pipe::type_mismatch", message, wire.tree.span, "gathered here");
                self.cx.problems.push(problem.help("leave the `[*]` away, and the node fans out instead"));
                continue;
            }
            let all_off = targets.iter().all(|(_, target)| matches!(target, Target::Off(_)));
            for (label, target) in targets {
                match target {
                    Target::Draft(draft, output) => {
                        let input = input_name(wire, label, port);
                        if let Some(twice) = reads.iter().position(|(_, edge)| *edge.input == *input) {
                            self.refuse_twice(connected, twice, &input, wire);
                            continue;
                        }
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

    fn refuse_twice(&mut self, connected: &[Connected], twice: usize, input: &str, wire: &Wire) {
        let message = format!("two artifacts are called `{input}`");
        let mut problem = Problem::new("pipe::duplicate_key", message, wire.tree.span, "again here");
        if let Some(first) = connected.get(twice) {
            problem = problem.label(first.wire.tree.span, "first here");
        }
        self.cx.problems.push(problem.help("give them names: `{ one: NODE, other: NODE }`"));
    }

    /// What the outputs of a node lead to that is switched off: its input of the same type, or nothing.
    fn switched_off(&mut self, kind: &KindSpec, connected: &[Connected], name: String, combo: &Combo) -> Vec<Target> {
        let passes = |output: &Port| {
            let mut fitting = kind.inputs.iter().filter(|port| port.artifact == output.artifact && !port.many);
            let port = fitting.next().filter(|_| fitting.next().is_none())?;
            let input = connected.iter().find(|connected| connected.wire.input == port.name)?;
            input.wired.0.at(combo)?.first().map(|(_, target)| target.clone())
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

    /// Where outputs go: a path for the main one, or a mapping from outputs to paths.
    pub(crate) fn exports(&mut self, tree: &Tree, what: &str, outputs: &[(&str, Port)]) -> Vec<Export> {
        let written: Vec<(Option<Key>, Tree)> = match &tree.node {
            tree::Node::Mistake => return Vec::new(),
            tree::Node::Map(entries) => entries.iter().cloned().map(|(key, tree)| (Some(key), tree)).collect(),
            _ => vec![(None, tree.clone())],
        };
        let mut exports = Vec::new();
        for (key, tree) in written {
            let output = match &key {
                None => outputs.first(),
                Some(key) => outputs.iter().find(|(name, _)| *name == key.text),
            };
            let Some((_, output)) = output else {
                let key = key.unwrap_or(Key { text: String::new(), span: tree.span });
                let help = suggest::help(&key.text, "outputs", outputs.iter().map(|(name, _)| *name));
                let message = format!("`{what}` has no output `{}`", key.text);
                self.cx.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
                continue;
            };
            let Some(path) = self.cx.word(&tree, "`export`") else { continue };
            let path = self.cx.sources.base(tree.span.source).join(path);
            exports.push(Export { output: *output, path, span: tree.used_at.unwrap_or(tree.span) });
        }
        exports
    }
}

/// The name of an input: that of its port, with what one of many is called.
fn input_name(wire: &Wire, label: &str, port: Option<&Port>) -> String {
    let label = match (&wire.label, label) {
        (Some(own), "") => own.clone(),
        // A list calls each after its node; what was gathered tells more.
        (Some(_), label) if matches!(wire.tree.node, tree::Node::Scalar(_)) => label.to_owned(),
        (_, "") if port.is_some_and(|port| port.many) => match &wire.tree.node {
            tree::Node::Scalar(scalar) => called_after(&scalar.text),
            _ => String::new(),
        },
        (_, label) => label.to_owned(),
    };
    if label.is_empty() { wire.input.clone() } else { format!("{}[{label}]", wire.input) }
}

/// Where a tree asks for a value of a matrix.
fn asks_for_matrix(tree: &Tree) -> Option<Span> {
    match &tree.node {
        tree::Node::List(items) => items.iter().find_map(asks_for_matrix),
        tree::Node::Map(entries) => entries.iter().find_map(|(_, value)| asks_for_matrix(value)),
        tree::Node::Scalar(scalar) => scalar.text.contains("${matrix.").then_some(tree.span),
        tree::Node::Mistake => None,
    }
}
