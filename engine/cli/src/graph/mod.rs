//! Pictures of a pipeline, drawn from its plan.

pub(crate) mod dot;
pub(crate) mod html;
mod layout;
pub(crate) mod mermaid;
pub(crate) mod svg;

use petgraph::visit::EdgeRef;
use pipe_core::Plan;
use pipe_lang::Pipeline;
use pipe_spec::ArtifactType;
use serde_json::{Value, json};

use crate::planned::detail;

/// What is drawn.
pub(crate) struct Picture {
    pub(crate) name: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
}

/// A node of a picture.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// `cached`, `run`, `blocked`, `failed` or `off`.
    pub(crate) status: &'static str,
    /// Why it runs, or how many items.
    pub(crate) detail: String,
    pub(crate) params: Value,
    pub(crate) key: Option<String>,
}

/// An edge of a picture, between nodes by their numbers.
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) artifact: ArtifactType,
    pub(crate) input: String,
}

impl Picture {
    pub(crate) fn new(pipeline: &Pipeline, plan: &Plan) -> Self {
        let mut places = std::collections::HashMap::new();
        let mut nodes = Vec::new();
        for planned in &plan.nodes {
            let node = &pipeline.graph[planned.index];
            places.insert(planned.index, nodes.len());
            nodes.push(Node {
                name: node.name.clone(),
                kind: node.kind.name.to_owned(),
                status: planned.status.word(),
                detail: detail(planned),
                params: node.params.clone(),
                key: planned.manifest.as_ref().map(|manifest| manifest.key().to_string()),
            });
        }
        let edge = |edge: petgraph::graph::EdgeReference<'_, pipe_lang::Edge>| {
            Some(Edge {
                from: *places.get(&edge.source())?,
                to: *places.get(&edge.target())?,
                artifact: edge.weight().output.artifact,
                input: edge.weight().input.to_string(),
            })
        };
        let edges = pipeline.graph.edge_references().filter_map(edge).collect();
        for off in &pipeline.off {
            let detail = if off.passes { "its input is handed through" } else { "switched off by `when`" };
            nodes.push(Node {
                name: off.name.clone(),
                kind: String::new(),
                status: "off",
                detail: detail.to_owned(),
                params: json!({}),
                key: None,
            });
        }
        Self { name: pipeline.name.clone(), nodes, edges }
    }

    /// The statuses and types of artifact that occur, for a legend.
    fn legend(&self) -> (Vec<&'static str>, Vec<ArtifactType>) {
        let statuses = ["cached", "run", "blocked", "failed", "off"];
        let occurs = |status: &&str| self.nodes.iter().any(|node| node.status == *status);
        let artifacts = ArtifactType::ALL.into_iter();
        let flows = |artifact: &ArtifactType| self.edges.iter().any(|edge| edge.artifact == *artifact);
        (statuses.into_iter().filter(occurs).collect(), artifacts.filter(flows).collect())
    }
}

/// What a status is filled and outlined with.
fn fill(status: &str) -> (&'static str, &'static str) {
    match status {
        "cached" => ("#dafbe1", "#1a7f37"),
        "run" => ("#fff8c5", "#9a6700"),
        "failed" => ("#ffebe9", "#cf222e"),
        _ => ("#eaeef2", "#6e7781"),
    }
}

/// What an artifact's edges are drawn with.
fn colour(artifact: ArtifactType) -> &'static str {
    match artifact {
        ArtifactType::Records => "#57606a",
        ArtifactType::Images => "#0969da",
        ArtifactType::Features => "#8250df",
        ArtifactType::Model => "#bf3989",
        ArtifactType::Predictions => "#1b7c83",
        ArtifactType::Metrics => "#1a7f37",
        ArtifactType::Report => "#bc4c00",
        ArtifactType::Files => "#7d4e00",
        ArtifactType::Values => "#4d2d00",
    }
}

/// Text inside XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
