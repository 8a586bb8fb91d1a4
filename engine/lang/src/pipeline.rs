//! A checked pipeline: every name known, every value in range, every edge of fitting types.

use std::collections::BTreeMap;
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
}

/// An output of one node that is an input of another.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// The output it comes from.
    pub output: &'static Port,
    /// The input it goes to.
    pub input: &'static Port,
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
        let mut done = vec![false; self.graph.node_count()];
        let mut order = Vec::with_capacity(done.len());
        // A checked pipeline has no cycle, so every pass over what is left finds at least one.
        while order.len() < done.len() {
            let ready = self.graph.node_indices().find(|&index| {
                !done[index.index()]
                    && self.graph.neighbors_directed(index, Direction::Incoming).all(|from| done[from.index()])
            });
            let Some(index) = ready else { break };
            done[index.index()] = true;
            order.push(index);
        }
        order
    }

    /// The node's inputs in the order of its kind's ports: port, node it comes from, output.
    pub fn inputs(&self, index: NodeIndex) -> Vec<(&'static Port, NodeIndex, &'static Port)> {
        let ports = self.graph[index].kind.inputs.iter();
        ports
            .filter_map(|port| {
                let edge = self
                    .graph
                    .edges_directed(index, Direction::Incoming)
                    .find(|edge| edge.weight().input.name == port.name)?;
                Some((port, edge.source(), edge.weight().output))
            })
            .collect()
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
