//! Elaboration: sub-pipelines are put in, matrices fan out, and what is left is a plain graph.
//!
//! One [`Scope`] a text that is used. Its nodes are taken in an order in which each comes after all
//! it needs, so that what a node varies with is known when its readers ask.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value;

use crate::context::Context;
use crate::decode::plain;
use crate::given::{self, Given};
use crate::head::{self, Head, declared};
use crate::language::Language;
use crate::matrix::Relation;
use crate::params::Params;
use crate::pipeline::{Declared, Edge, Node, Off, Part};
use crate::problem::{Collector, Problem};
use crate::scope::{Entity, Scope};
use crate::tree::{Key, Tree};
use crate::wired::Wired;
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

/// What is known of a whole pipeline besides its graph.
pub(crate) struct Parts {
    pub(crate) name: Option<String>,
    pub(crate) doc: String,
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) declared: Vec<Declared>,
    pub(crate) profiles: Vec<String>,
    pub(crate) takes: Vec<(String, ArtifactType)>,
}

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
        let head = head::read(&mut self.cx, root)?;
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
            declared: declarations.into_iter().map(declared).collect(),
            profiles: profiles.into_iter().map(|(key, _)| key.text).collect(),
            takes: inputs.into_iter().map(|(key, artifact)| (key.text, artifact)).collect(),
        })
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
