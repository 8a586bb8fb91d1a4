//! Why a node would run, or why it did: which field of what decides it differs, from which node the
//! difference came, and which rows it is about.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;
use pipe_lang::Problems;
use pipe_store::Digest;
use serde::Serialize;

use crate::graph::{Graph, Known};
use crate::manifest::chain_key;
use crate::{Artifact, Change, Context, Plan, PlannedNode, Record, Status};

/// Rows that a list names; the rest are counted.
const NAMED_ROWS: usize = 10;

/// Why a node would run, or ran.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The node.
    pub node: String,
    /// `cached`, `run`, `blocked` or `failed`.
    pub status: &'static str,
    /// Why it runs or cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the result in the store was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_at: Option<String>,
    /// When it was last computed with another manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_computed_at: Option<String>,
    /// The fields of its own that differ. Of a cached node: those that made it run the last time.
    pub changes: Vec<Change>,
    /// The inputs that differ, and why.
    pub inputs: Vec<InputExplanation>,
}

/// Why an input of a node differs.
#[derive(Debug, Serialize)]
pub struct InputExplanation {
    /// The input.
    pub input: String,
    /// What was and is there; `None` where that is not known before the node that gives it has run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The rows that differ, where it is a table or a collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowChanges>,
    /// Why the node that gives it differs; `None` for files of the world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<Explanation>>,
}

/// Rows by what became of them: the first few by name, and how many in all.
#[derive(Debug, Default, Serialize)]
pub struct RowChanges {
    /// Rows that are new.
    pub added: Named,
    /// Rows that are gone.
    pub removed: Named,
    /// Rows whose bytes are others.
    pub changed: Named,
    /// Rows with another label or in another split.
    pub relabelled: Named,
    /// Whether only their order differs.
    pub reordered: bool,
}

/// The first few names, and how many there are.
#[derive(Debug, Default, Serialize)]
pub struct Named {
    /// How many.
    pub count: usize,
    /// The first few.
    pub first: Vec<String>,
}

impl Named {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < NAMED_ROWS {
            self.first.push(name.to_owned());
        }
    }
}

/// What is known of one item of a node.
#[derive(Debug, Serialize)]
pub struct ItemExplanation {
    /// The node.
    pub node: String,
    /// The row.
    pub item: String,
    /// The digest of its bytes.
    pub content: Option<Digest>,
    /// The key of its item at the end of the chain.
    pub key: Option<Digest>,
    /// Whether the item is in the store.
    pub cached: bool,
    /// The pack that it lies in.
    pub pack: Option<Digest>,
    /// What its bytes were in the last run, where it took part in it.
    pub last_content: Option<Digest>,
    /// Whether it took part in the last run.
    pub in_last_run: bool,
    /// Each node that it passes through, and the fields there that differ from the last run.
    pub stages: Vec<(String, Vec<Change>)>,
}

/// Explains nodes.
///
/// # Errors
/// Params that do not fit one another.
pub fn explain(context: Context<'_>, nodes: &[NodeIndex]) -> Result<Vec<Explanation>, Problems> {
    let graph = Graph::new(context, &[])?;
    let plan = Plan::of(&graph);
    let planned = nodes.iter().filter_map(|&index| plan.node(index));
    Ok(planned.map(|node| explain_node(&graph, &plan, node)).collect())
}

fn explain_node(graph: &Graph<'_>, plan: &Plan, node: &PlannedNode) -> Explanation {
    let mut explanation = Explanation {
        node: node.name.clone(),
        status: node.status.word(),
        reason: None,
        computed_at: node.computed_at.clone(),
        last_computed_at: None,
        changes: Vec::new(),
        inputs: Vec::new(),
    };
    match &node.status {
        Status::Cached => {
            let last = graph.context.last.and_then(|last| last.nodes.get(&node.name));
            explanation.changes = last.map(|last| last.changes.clone()).unwrap_or_default();
        }
        Status::Blocked(reason) => explanation.reason = Some(reason.clone()),
        Status::Failed(failure) => explanation.reason = Some(failure.message().to_owned()),
        Status::Run(reason) => {
            explanation.reason = Some(reason.clone());
            explanation.last_computed_at = graph.last_result(node.index).map(|result| result.time.clone());
            let own = |change: &&Change| !change.field.starts_with("inputs.");
            explanation.changes = node.changes.iter().filter(own).cloned().collect();
            explanation.inputs = inputs(graph, plan, node);
        }
    }
    explanation
}

fn inputs(graph: &Graph<'_>, plan: &Plan, node: &PlannedNode) -> Vec<InputExplanation> {
    let of = |input: &str| node.changes.iter().find(|change| change.field == format!("inputs.{input}")).cloned();
    let mut inputs = Vec::new();
    if let Some(change) = of("content") {
        let last = graph.last_result(node.index).and_then(|result| result.outputs.values().next().copied());
        let now = node.outputs.values().next().copied();
        let rows = last.zip(now).and_then(|(last, now)| row_changes(graph, last, now));
        inputs.push(InputExplanation { input: "content".to_owned(), change: Some(change), rows, from: None });
    }
    for input in graph.pipeline.inputs(node.index) {
        let Some(source) = plan.node(input.from) else { continue };
        let change = of(&input.name);
        let waits = matches!(source.status, Status::Run(_)) && node.manifest.is_none();
        if change.is_none() && !waits {
            continue;
        }
        let digest = |side: Option<&serde_json::Value>| side?.as_str()?.parse::<Digest>().ok();
        let sides =
            change.as_ref().and_then(|change| Some((digest(change.old.as_ref())?, digest(change.new.as_ref())?)));
        let rows = sides.and_then(|(old, new)| row_changes(graph, old, new));
        let from = Some(Box::new(explain_node(graph, plan, source)));
        inputs.push(InputExplanation { input: input.name.to_string(), change, rows, from });
    }
    inputs
}

/// How the rows of two artifacts differ; `None` where they have none or are no longer there.
fn row_changes(graph: &Graph<'_>, old: Digest, new: Digest) -> Option<RowChanges> {
    let (old, new) = (graph.artifacts.get(old)?, graph.artifacts.get(new)?);
    let (old, new) = (rows(&old)?, rows(&new)?);
    let before: BTreeMap<&str, &Record> = old.iter().map(|row| (row.id.as_str(), row)).collect();
    let after: BTreeMap<&str, &Record> = new.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut changes = RowChanges::default();
    for row in new {
        match before.get(row.id.as_str()) {
            None => changes.added.add(&row.id),
            Some(old) if old.content != row.content => changes.changed.add(&row.id),
            Some(old) if (&old.value, old.split) != (&row.value, row.split) => changes.relabelled.add(&row.id),
            Some(_) => {}
        }
    }
    old.iter().filter(|row| !after.contains_key(row.id.as_str())).for_each(|row| changes.removed.add(&row.id));
    let same =
        [&changes.added, &changes.removed, &changes.changed, &changes.relabelled].iter().all(|named| named.count == 0);
    changes.reordered = same && old != new;
    Some(changes)
}

fn rows(artifact: &Artifact) -> Option<&[Record]> {
    match artifact {
        Artifact::Records(records) => Some(&records.rows),
        Artifact::Collection(collection) => Some(&collection.records.rows),
        Artifact::Document(_) | Artifact::Files(_) => None,
    }
}

/// Explains one item of a node that works item by item; `None` where the node does not, or the row
/// is not among those that it works on.
///
/// # Errors
/// Params that do not fit one another.
pub fn explain_item(context: Context<'_>, index: NodeIndex, id: &str) -> Result<Option<ItemExplanation>, Problems> {
    let graph = Graph::new(context, &[])?;
    let plan = Plan::of(&graph);
    Ok(item(&graph, &plan, index, id))
}

/// The row of that id at a node, or, where the node has yet to run, at the sources before it.
fn row(graph: &Graph<'_>, index: NodeIndex, known: &[Known], id: &str) -> Option<Record> {
    let reading = graph.work(index).reading.is_some();
    let at_hand = if reading { graph.source_records(index).ok() } else { None };
    let stored = || graph.artifacts.get(*known[index.index()].outputs.values().next()?);
    if let Some(artifact) = at_hand.or_else(stored) {
        return rows(&artifact)?.iter().find(|row| row.id == id).cloned();
    }
    graph.pipeline.inputs(index).into_iter().find_map(|input| row(graph, input.from, known, id))
}

fn item(graph: &Graph<'_>, plan: &Plan, index: NodeIndex, id: &str) -> Option<ItemExplanation> {
    let chain = graph.chain(index)?;
    let row = row(graph, chain.root, &plan.known(graph), id)?;
    let recipes = graph.recipes(&chain).ok()?;
    let key = row.content.map(|content| chain_key(&recipes, content));
    let found = key.and_then(|key| graph.store.find_items(&[key]).pop().flatten());
    let last = graph.last_result(index).and_then(|result| graph.artifacts.get(*result.outputs.values().next()?));
    let last_row = last.as_ref().and_then(|last| rows(last)?.iter().find(|row| row.id == id).cloned());
    let own = |stage: &NodeIndex| {
        let changes = plan.node(*stage).map(|node| node.changes.clone()).unwrap_or_default();
        let own = changes.into_iter().filter(|change| !change.field.starts_with("inputs.")).collect();
        (graph.name(*stage).to_owned(), own)
    };
    Some(ItemExplanation {
        node: graph.name(index).to_owned(),
        item: id.to_owned(),
        content: row.content,
        key,
        cached: found.is_some(),
        pack: found.map(|entry| entry.pack),
        last_content: last_row.as_ref().and_then(|row| row.content),
        in_last_run: last_row.is_some(),
        stages: chain.stages.iter().map(own).collect(),
    })
}
