//! A checked pipeline: every name known, every value in range, every edge of fitting types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use petgraph::{Direction, algo};
use pipe_spec::{KindSpec, Port};
use serde_json::Value;

use crate::{Sources, Span, closest};

/// A pipeline that may be planned and run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// What it is called; its file's name where it does not say.
    pub name: String,
    /// The folder of its file: where its nodes' commands run.
    pub folder: PathBuf,
    /// Its params after `--set`, for the record of a run.
    pub params: BTreeMap<String, Value>,
    /// Its nodes and edges, without cycles; indices follow the file.
    pub graph: DiGraph<Node, Edge>,
    /// The texts it was read from.
    pub sources: Sources,
}

/// One entry under `nodes:`.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub kind: Arc<KindSpec>,
    /// Its params as an object, defaults filled in, paths absolute.
    pub params: Value,
    /// Where each param that was written stands: `optimizer.adam.lr`, `objects[0]`.
    pub spans: BTreeMap<String, Span>,
    /// Where its name stands.
    pub span: Option<Span>,
    /// Whether its items are stored even where nothing needs them stored.
    pub keep: bool,
    /// Where its outputs are left as ordinary files after every run.
    pub exports: Vec<Export>,
}

/// An output that is left as ordinary files after every run.
#[derive(Debug, Clone)]
pub struct Export {
    /// The output.
    pub output: &'static Port,
    /// Where it goes, absolute.
    pub path: PathBuf,
    /// Where it was written that it goes there.
    pub span: Span,
}

/// An output of one node that is an input of another.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The output it comes from.
    pub output: &'static Port,
    /// The name of the input it goes to.
    pub input: Arc<str>,
}

/// What is connected to an input of a node.
#[derive(Debug, Clone)]
pub struct Input {
    /// The input's name.
    pub name: Arc<str>,
    /// The node that it comes from.
    pub from: NodeIndex,
    /// The output of that node.
    pub output: &'static Port,
}

impl Pipeline {
    /// The node of that name.
    ///
    /// # Errors
    /// The name nearest to it, if one is near.
    pub fn find(&self, name: &str) -> Result<NodeIndex, Option<&str>> {
        let found = self.graph.node_indices().find(|&index| self.graph[index].name == name);
        found.ok_or_else(|| closest(name, self.graph.node_weights().map(|node| node.name.as_str())))
    }

    /// The nodes so that each comes after all it needs; in the order of the file where both do.
    pub fn order(&self) -> Vec<NodeIndex> {
        let waits = |index| self.graph.neighbors_directed(index, Direction::Incoming).count();
        let mut waiting: Vec<usize> = self.graph.node_indices().map(waits).collect();
        let mut ready: BTreeSet<NodeIndex> =
            self.graph.node_indices().filter(|index| waiting[index.index()] == 0).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(index) = ready.pop_first() {
            order.push(index);
            for next in self.graph.neighbors_directed(index, Direction::Outgoing) {
                waiting[next.index()] -= 1;
                if waiting[next.index()] == 0 {
                    ready.insert(next);
                }
            }
        }
        order
    }

    /// The node's inputs: those of its kind in their order, then the author's own by name.
    pub fn inputs(&self, index: NodeIndex) -> Vec<Input> {
        let ports = self.graph[index].kind.inputs;
        let rank = |name: &str| ports.iter().position(|port| port.name == name).unwrap_or(ports.len());
        let edges = self.graph.edges_directed(index, Direction::Incoming);
        let mut inputs: Vec<Input> = edges
            .map(|edge| {
                let Edge { output, input } = edge.weight();
                Input { name: input.clone(), from: edge.source(), output }
            })
            .collect();
        inputs.sort_by(|one, other| (rank(&one.name), &one.name).cmp(&(rank(&other.name), &other.name)));
        inputs
    }

    /// The nodes that these need, themselves among them.
    pub fn needed_by(&self, targets: &[NodeIndex]) -> Vec<NodeIndex> {
        let mut needed = vec![false; self.graph.node_count()];
        let mut open = targets.to_vec();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut needed[index.index()], true) {
                open.extend(self.graph.neighbors_directed(index, Direction::Incoming));
            }
        }
        self.graph.node_indices().filter(|index| needed[index.index()]).collect()
    }
}

/// The groups of nodes that lie on a cycle together.
pub(crate) fn cycles(graph: &DiGraph<Node, Edge>) -> Vec<Vec<NodeIndex>> {
    algo::tarjan_scc(graph)
        .into_iter()
        .filter(|group| group.len() > 1 || group.iter().any(|&index| graph.find_edge(index, index).is_some()))
        .collect()
}
