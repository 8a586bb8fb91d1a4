//! A checked pipeline: every name known, every value in range, every edge of fitting types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use pipe_spec::{ArtifactType, KindSpec, Port, Shape};
use serde_json::Value;

use crate::{Choose, Reference, Sources, Span, closest};

/// A pipeline that may be planned and run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// What it is called; its file's name where it does not say.
    pub name: String,
    /// The folder of its file.
    pub folder: PathBuf,
    /// Its params after `--set`, for the record of a run.
    pub params: BTreeMap<String, Value>,
    /// Its nodes and edges, without cycles; indices follow the file.
    pub graph: DiGraph<Node, Edge>,
    /// The texts it was read from.
    pub sources: Sources,
    /// What it is for.
    pub doc: String,
    /// What may be set from outside.
    pub declared: Vec<Declared>,
    /// The names of its profiles.
    pub profiles: Vec<String>,
    /// The variables of the environment that were read, with their values.
    pub environment: BTreeMap<String, String>,
    /// The nodes that `when` switched off.
    pub off: Vec<Off>,
    /// Its sub-pipelines, with what each of their outputs leads to under each combination.
    pub parts: Vec<Part>,
    /// The inputs that it takes as a part of other pipelines; one that takes inputs cannot be run.
    pub takes: Vec<(String, ArtifactType)>,
}

/// A param that may be set from outside.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What it may be; [`Shape::Any`] where the pipeline does not say.
    pub shape: Shape,
    /// What it is where nothing is set; `None` where it must be set.
    pub default: Option<Value>,
    /// What it means.
    pub help: String,
}

/// A sub-pipeline in a pipeline.
#[derive(Debug, Clone)]
pub struct Part {
    /// The name of the node that uses it: `prep`.
    pub name: String,
    /// Its outputs, the main one first, each with the outputs of nodes that it leads to.
    pub outputs: Vec<(String, Vec<(NodeIndex, Port)>)>,
}

/// A node that `when` switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    /// Its name.
    pub name: String,
    /// Whether its readers get its input instead.
    pub passes: bool,
}

/// One entry under `nodes:`.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name: `head`, `prep/images` in a sub-pipeline, `head[lr=0.01]` under a matrix.
    pub name: String,
    /// The values of the axes that it varies with, by their names.
    pub labels: Vec<(String, String)>,
    /// The folder of the file that it is written in: where its command runs.
    pub folder: PathBuf,
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
    /// The switched off node that it needs: it cannot run.
    pub blocked: Option<String>,
}

/// An output that is left as ordinary files after every run.
#[derive(Debug, Clone)]
pub struct Export {
    /// The output.
    pub output: Port,
    /// Where it goes, absolute.
    pub path: PathBuf,
    /// Where it was written that it goes there.
    pub span: Span,
}

/// An output of one node that is an input of another.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The output it comes from.
    pub output: Port,
    /// The name of the input it goes to; `metrics[lr=0.01]` where that takes many.
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
    pub output: Port,
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

    /// The nodes that a word of the command line means: one name, all values of a matrix, or all
    /// nodes of a sub-pipeline.
    ///
    /// # Errors
    /// The name nearest to it, if one is near.
    pub fn select(&self, word: &str) -> Result<Vec<NodeIndex>, Option<&str>> {
        if let Ok(index) = self.find(word) {
            return Ok(vec![index]);
        }
        let names = self.graph.node_weights().flat_map(|node| [node.name.as_str(), node.base()]);
        let Ok(wanted) = Reference::parse(word) else { return Err(closest(word, names)) };
        let fits = |node: &Node| {
            let named = node.base() == wanted.name || node.name.starts_with(&format!("{}/", wanted.name));
            named && node.has(&wanted.choices)
        };
        let found: Vec<NodeIndex> = self.graph.node_indices().filter(|&index| fits(&self.graph[index])).collect();
        if found.is_empty() { Err(closest(word, names)) } else { Ok(found) }
    }

    /// The outputs of nodes that a word of the command line means: `head`, `head.history`,
    /// `head[lr=0.1].history`, or an output of a sub-pipeline, which for its bare name is the main one.
    ///
    /// # Errors
    /// As [`Pipeline::select`]; the names of the outputs where there is none of that name.
    pub fn select_outputs(&self, word: &str) -> Result<Vec<(NodeIndex, Port)>, Unknown<'_>> {
        let reference = Reference::parse(word).map_err(|_| Unknown::Node(None))?;
        if let Some(part) = self.parts.iter().find(|part| part.name == reference.name) {
            let found = match &reference.output {
                Some(output) => part.outputs.iter().find(|(name, _)| name == output),
                None => part.outputs.first(),
            };
            let names = || Unknown::Output(part.outputs.iter().map(|(name, _)| name.as_str()).collect());
            let (_, outputs) = found.ok_or_else(names)?;
            let fits = |(index, _): &&(NodeIndex, Port)| self.graph[*index].has(&reference.choices);
            return Ok(outputs.iter().filter(fits).copied().collect());
        }
        let node = Reference { output: None, ..reference.clone() };
        let mut found = Vec::new();
        for index in self.select(&node.to_string()).map_err(Unknown::Node)? {
            let kind = &self.graph[index].kind;
            let port = match &reference.output {
                Some(output) => kind.output(output),
                None => kind.main_output(),
            };
            let names = || Unknown::Output(kind.outputs.iter().map(|port| port.name).collect());
            found.push((index, port.ok_or_else(names)?));
        }
        Ok(found)
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
        let ports = &self.graph[index].kind.inputs;
        let rank = |name: &str| ports.iter().position(|port| port.name == port_of(name)).unwrap_or(ports.len());
        let edges = self.graph.edges_directed(index, Direction::Incoming);
        let mut inputs: Vec<Input> = edges
            .map(|edge| {
                let Edge { output, input } = edge.weight();
                Input { name: input.clone(), from: edge.source(), output: *output }
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

impl Node {
    /// Whether it is one of those that are chosen by the values of a matrix.
    fn has(&self, choices: &[Choose]) -> bool {
        choices.iter().all(|choice| match choice {
            Choose::All => true,
            Choose::AllOf(axis) => self.labels.iter().any(|(name, _)| name == axis),
            Choose::One(axis, value) => self.labels.iter().any(|(name, at)| name == axis && at == value),
        })
    }

    /// Its name without the values of a matrix.
    pub fn base(&self) -> &str {
        self.name.split('[').next().unwrap_or(&self.name)
    }
}

/// Why a word of the command line names no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown<'a> {
    /// There is no such node; the name nearest to it, if one is near.
    Node(Option<&'a str>),
    /// It has no such output; those that it has.
    Output(Vec<&'a str>),
}

/// The port behind the name of an input: `metrics` of `metrics[lr=0.01]`.
pub(crate) fn port_of(input: &str) -> &str {
    input.split('[').next().unwrap_or(input)
}
