//! Elaboration: sub-pipelines are put in, matrices fan out, and what is left is a plain graph.
//!
//! One [`Scope`] a text that is used. Its nodes are taken in an order in which each comes after all
//! it needs, so that what a node varies with is known when its readers ask.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value;

use crate::check::{Given, Language, Outline};
use crate::context::Context;
use crate::declare::{Declaration, declaration};
use crate::decode::plain;
use crate::given;
use crate::inputs::Wired;
use crate::matrix::{AxisId, Relation};
use crate::params::Params;
use crate::pipeline::{Declared, Edge, Node, Off, Part};
use crate::problem::{Collector, Problem};
use crate::tree::{self, Key, Tree};
use crate::{SourceId, Span};
use pipe_spec::{ArtifactType, Port};

/// The most nodes that a pipeline may come to.
pub(crate) const MAX_NODES: usize = 10_000;

pub(crate) struct Elaboration<'a> {
    pub(crate) cx: Context<'a>,
    pub(crate) language: Language<'a>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) off: Vec<Off>,
    /// Sub-pipelines that were read, by where they are.
    pub(crate) texts: HashMap<String, Option<(SourceId, Tree)>>,
    /// The texts that are being put into one another, by where they are.
    pub(crate) open: Vec<String>,
    /// The sub-pipelines that were put in, with the drafts that their outputs lead to.
    pub(crate) parts: Vec<(String, Outputs)>,
    /// The folder of the pipeline's own file.
    pub(crate) folder: PathBuf,
    /// Nodes and sub-pipelines that were put in.
    spent: usize,
}

/// The outputs of a sub-pipeline, each with the drafts that it leads to and the ports.
pub(crate) type Outputs = Vec<(String, Vec<(usize, Port)>)>;

/// A node of the graph to be.
pub(crate) struct Draft {
    /// Its place in the order of the files.
    pub(crate) rank: Vec<u32>,
    pub(crate) node: Node,
    /// The drafts that it reads.
    pub(crate) reads: Vec<(usize, Edge)>,
}

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

/// The keys of a pipeline's text.
pub(crate) struct Head {
    pub(crate) name: Option<String>,
    pub(crate) doc: String,
    pub(crate) declarations: Vec<Declaration>,
    pub(crate) profiles: Vec<(Key, Vec<(Key, Tree)>)>,
    pub(crate) inputs: Vec<(Key, ArtifactType)>,
    pub(crate) outputs: Vec<(Key, Tree)>,
    pub(crate) nodes: Vec<(Key, Tree)>,
}

/// What is known of a whole pipeline besides its graph.
pub(crate) struct Parts {
    pub(crate) name: Option<String>,
    pub(crate) doc: String,
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) declared: Vec<Declared>,
    pub(crate) profiles: Vec<String>,
    pub(crate) takes: Vec<(String, ArtifactType)>,
}

/// The keys at the top of a text.
pub(crate) const KEYS: [&str; 7] = ["name", "doc", "params", "profiles", "inputs", "outputs", "nodes"];

/// What is left when everything is put in.
pub(crate) struct Finished {
    pub(crate) problems: Collector,
    pub(crate) graph: DiGraph<Node, Edge>,
    pub(crate) off: Vec<Off>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) parts: Vec<Part>,
}

impl<'a> Elaboration<'a> {
    pub(crate) fn new(cx: Context<'a>, language: Language<'a>, folder: &Path) -> Self {
        let (drafts, off, texts, open) = (Vec::new(), Vec::new(), HashMap::new(), Vec::new());
        Self { cx, language, drafts, off, texts, open, parts: Vec::new(), folder: folder.to_owned(), spent: 0 }
    }

    /// Puts a whole pipeline together; `None` when it has no nodes to speak of.
    pub(crate) fn pipeline(&mut self, root: Tree, place: String, given: &Given) -> Option<Parts> {
        self.open.push(place);
        let head = self.head(root)?;
        let mut params = Params::new(&head.declarations, Relation::constant(()));
        given::apply(&mut self.cx, &mut params, &head, given);
        for declaration in &head.declarations {
            let name = &declaration.key.text;
            if params.lacks(name) && head.inputs.is_empty() {
                let message = format!("the param `{name}` has no value");
                let problem = Problem::new("pipe::missing_param", message, declaration.key.span, "needed");
                let help = format!("give it with `--set {name}=...`, or write a `default` here");
                self.cx.problems.push(problem.help(help));
            }
        }
        let values = params.resolve_all(&mut self.cx);
        let mut scope = Scope {
            path: String::new(),
            rank: Vec::new(),
            params,
            ambients: Vec::new(),
            entities: HashMap::new(),
            names: Vec::new(),
        };
        for (key, artifact) in &head.inputs {
            let wired = Wired::declared(*artifact);
            scope.add(
                key,
                Some(Entity {
                    span: key.span,
                    what: "an input".to_owned(),
                    outputs: vec![(key.text.clone(), wired)],
                    unsure: false,
                }),
            );
        }
        let Head { name, doc, declarations, profiles, inputs, outputs, nodes } = head;
        self.nodes(&mut scope, nodes);
        self.outputs(&scope, &outputs);
        Some(Parts {
            name,
            doc,
            values: values.into_iter().map(|(name, tree)| (name, plain(&tree))).collect(),
            declared: declarations.into_iter().map(public).collect(),
            profiles: profiles.into_iter().map(|(key, _)| key.text).collect(),
            takes: inputs.into_iter().map(|(key, artifact)| (key.text, artifact)).collect(),
        })
    }

    /// What the head of a text says, whatever else is wrong with it.
    pub(crate) fn outline(&mut self, root: Tree) -> Outline {
        let Some(head) = self.head(root) else { return Outline::default() };
        Outline {
            doc: head.doc,
            params: head.declarations.into_iter().map(public).collect(),
            profiles: head.profiles.into_iter().map(|(key, _)| key.text).collect(),
            nodes: head.nodes.into_iter().map(|(key, _)| key.text).collect(),
        }
    }

    /// Reads the keys of a text; `None` when it has no nodes.
    pub(crate) fn head(&mut self, root: Tree) -> Option<Head> {
        let whole = root.span;
        let cx = &mut self.cx;
        let mut parts = cx.keys(root, "the pipeline", &KEYS)?;
        let mut part = |name: &str| parts.remove(name);
        let (params, profiles, inputs) = (part("params"), part("profiles"), part("inputs"));
        let (outputs, nodes, name, doc) = (part("outputs"), part("nodes"), part("name"), part("doc"));
        let entries = |cx: &mut Context<'_>, part: Option<(Key, Tree)>, what: &str| match part {
            Some((_, tree)) => cx.entries(tree, what).unwrap_or_default(),
            None => Vec::new(),
        };
        let declarations = entries(cx, params, "`params`");
        let declarations = declarations.into_iter().filter_map(|(key, tree)| declaration(cx, key, tree)).collect();
        let profiles = entries(cx, profiles, "`profiles`");
        let profiles = profiles
            .into_iter()
            .filter_map(|(key, tree)| {
                let values = cx.entries(tree, &format!("the profile `{}`", key.text))?;
                Some((key, values))
            })
            .collect();
        let inputs = entries(cx, inputs, "`inputs`");
        let inputs = inputs.into_iter().filter_map(|(key, tree)| Some((key, artifact_type(cx, &tree)?))).collect();
        let outputs = entries(cx, outputs, "`outputs`");
        let name = name.and_then(|(_, tree)| cx.word(&tree, "`name`"));
        let doc = doc.and_then(|(_, tree)| cx.word(&tree, "`doc`")).unwrap_or_default();
        let Some((nodes_key, nodes)) = nodes else {
            cx.problems.push(
                Problem::new("pipe::missing_param", "the pipeline has no `nodes`", whole, "needed here")
                    .help("add `nodes:` with at least one node; `pipe init` writes an example"),
            );
            return None;
        };
        let nodes = cx.entries(nodes, "`nodes`")?;
        if nodes.is_empty() {
            cx.problems.push(Problem::new(
                "pipe::missing_param",
                "`nodes` is empty",
                nodes_key.span,
                "add a node here",
            ));
        }
        Some(Head { name, doc, declarations, profiles, inputs, outputs, nodes })
    }

    /// The named outputs of a text, each with what it leads to.
    pub(crate) fn outputs(&mut self, scope: &Scope, outputs: &[(Key, Tree)]) -> Vec<(String, Wired)> {
        let mut found = Vec::new();
        for (key, tree) in outputs {
            if let Some(wired) = self.resolve(scope, tree, &key.text) {
                found.push((key.text.clone(), wired));
            }
        }
        found
    }

    /// Counts nodes and sub-pipelines; `false` where there are too many, which is said once.
    pub(crate) fn spend(&mut self, count: usize, span: Span) -> bool {
        let before = self.spent;
        self.spent = self.spent.saturating_add(count);
        if self.spent > MAX_NODES && before <= MAX_NODES {
            let message = format!("the pipeline comes to more than {MAX_NODES} nodes and sub-pipelines");
            self.cx.problems.push(Problem::new("pipe::too_large", message, span, "counting stopped here"));
        }
        self.spent <= MAX_NODES
    }

    /// Whether more of it need not be looked at.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent > MAX_NODES
    }

    /// Ends the work. The nodes of the graph are in the order of the files.
    pub(crate) fn finish(mut self) -> Finished {
        let mut order: Vec<usize> = (0..self.drafts.len()).collect();
        order.sort_by(|&one, &other| self.drafts[one].rank.cmp(&self.drafts[other].rank));
        let mut place = vec![NodeIndex::new(0); order.len()];
        let mut graph = DiGraph::new();
        let mut reads = Vec::new();
        for &at in &order {
            let draft = &mut self.drafts[at];
            reads.push(std::mem::take(&mut draft.reads));
            place[at] = NodeIndex::new(reads.len() - 1);
        }
        let mut drafts: Vec<Option<Node>> = self.drafts.into_iter().map(|draft| Some(draft.node)).collect();
        for &at in &order {
            if let Some(node) = drafts[at].take() {
                graph.add_node(node);
            }
        }
        for (&at, reads) in order.iter().zip(reads) {
            for (from, edge) in reads {
                graph.add_edge(place[from], place[at], edge);
            }
        }
        refuse_shared_exports(&mut self.cx.problems, &graph);
        let led = |(name, drafts): (String, Vec<(usize, Port)>)| {
            (name, drafts.into_iter().map(|(draft, port)| (place[draft], port)).collect())
        };
        let part = |(name, outputs): (String, Outputs)| Part { name, outputs: outputs.into_iter().map(led).collect() };
        let parts = self.parts.into_iter().map(part).collect();
        Finished { problems: self.cx.problems, graph, off: self.off, environment: self.cx.asked, parts }
    }
}

impl Scope {
    /// The combinations of these axes of what uses the text.
    pub(crate) fn varying(&self, axes: &BTreeSet<AxisId>) -> Relation {
        self.ambients.last().map_or_else(|| Relation::constant(()), |ambient| ambient.project(axes))
    }

    /// Whether what a reference names may vary with more than is known.
    pub(crate) fn is_unsure(&self, reference: &Tree) -> bool {
        let tree::Node::Scalar(scalar) = &reference.node else { return false };
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

fn public(declaration: Declaration) -> Declared {
    let Declaration { key, default, shape, help } = declaration;
    Declared { name: key.text, shape, default: default.as_ref().map(plain), help }
}

fn artifact_type(cx: &mut Context<'_>, tree: &Tree) -> Option<ArtifactType> {
    let word = cx.word(tree, "an input's type")?;
    let found = ArtifactType::ALL.into_iter().find(|artifact| artifact.to_string() == word);
    if found.is_none() {
        let names: Vec<String> = ArtifactType::ALL.iter().map(ToString::to_string).collect();
        let help = crate::suggest::help(&word, "types of artifact", names.iter().map(String::as_str));
        let message = format!("there is no type of artifact `{word}`");
        cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "not a type").help(help));
    }
    found
}

fn refuse_shared_exports(problems: &mut Collector, graph: &DiGraph<Node, Edge>) {
    let mut seen: HashMap<&Path, Span> = HashMap::new();
    for export in graph.node_weights().flat_map(|node| &node.exports) {
        if let Some(first) = seen.insert(&export.path, export.span) {
            let message = format!("two outputs are exported to {}", export.path.display());
            let problem = Problem::new("pipe::duplicate_key", message, export.span, "again here");
            let help = match first == export.span {
                true => "put a value of the matrix into the path: `${matrix.lr}`",
                false => "give each a place of its own",
            };
            problems.push(problem.label(first, "first here").help(help));
        }
    }
}
