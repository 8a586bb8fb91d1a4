//! `pipe show`.

use std::path::Path;

use petgraph::graph::NodeIndex;
use pipe_core::{Artifact, Collection, Document, Records, Run, Status, Table, run_nodes, table as core_table};
use pipe_lang::Reference;
use pipe_spec::Port;
use pipe_store::{Digest, Store};
use serde_json::{Value, json};

use crate::args::{ArtifactFormat, GivenArgs, ShowArgs};
use crate::number::{count, seconds};
use crate::project::{Project, Settings, split_words};
use crate::{Program, Stop, diagnostic, output, table};

pub(crate) fn show(program: &Program, args: &ShowArgs) -> Result<(), Stop> {
    let (file, words) = split_words(program, &args.file.words);
    let [word] = words.as_slice() else {
        let hint = "name one: `pipe show NODE`, `pipe show NODE.OUTPUT` or `pipe show RUN`";
        diagnostic::error("show what?", Some(hint));
        return Err(Stop::Mistake);
    };
    let wanted = Wanted::new(word);
    let project = wanted.project(program, &file, &args.file.given)?;
    if project.pipeline.select(&wanted.node).is_err() {
        let runs = super::runs::of_file(&project.store, Some(&project.id));
        if let Some(run) = super::runs::find(&runs, word) {
            return output::result(&match args.format {
                ArtifactFormat::Json => format!("{:#}\n", super::log::as_json(&project.store, run)),
                _ => run_text(&project.store, run),
            });
        }
    }
    if args.log {
        return output::result(&log_of(&project, wanted.one(&project)?)?);
    }
    let (_, digest) = find(program, &project, &args.file.given, &wanted)?;
    let Some(artifact) = project.context(program, false).artifact(digest) else {
        diagnostic::error("it is no longer in the store", Some("`pipe run` computes it again"));
        return Err(Stop::Failed);
    };
    let text = match args.format {
        ArtifactFormat::Json => format!("{:#}\n", body(&artifact)),
        ArtifactFormat::Csv => {
            let csv = core_table(&artifact).and_then(|table| String::from_utf8(table.to_csv()?).ok());
            csv.ok_or_else(|| {
                diagnostic::error(&format!("`{word}` is not a table"), Some("use --format text or json"));
                Stop::Mistake
            })?
        }
        ArtifactFormat::Text => text(&artifact, args.rows),
    };
    output::result(&text)
}

/// A node, and an output of it where one is named.
pub(super) struct Wanted {
    pub(super) node: String,
    pub(super) output: Option<String>,
}

impl Wanted {
    pub(super) fn new(word: &str) -> Self {
        let output = Reference::parse(word).ok().and_then(|reference| reference.output);
        let node = match &output {
            Some(output) => word.replacen(&format!(".{output}"), "", 1),
            None => word.to_owned(),
        };
        Self { node, output }
    }

    /// What its files are called: the node's name without the values of a matrix.
    pub(super) fn name(&self) -> &str {
        let base = self.node.split('[').next().unwrap_or(&self.node);
        base.rsplit('/').next().unwrap_or(base)
    }

    /// The one node that is meant.
    fn one(&self, project: &Project) -> Result<NodeIndex, Stop> {
        let found = super::targets(project)?;
        if let [only] = found.as_slice() {
            return Ok(*only);
        }
        let names: Vec<_> = found.iter().map(|&index| project.pipeline.graph[index].name.as_str()).collect();
        diagnostic::error(
            &format!("`{}` is {} nodes", self.node, names.len()),
            Some(&format!("name one: {}", names.join(", "))),
        );
        Err(Stop::Mistake)
    }

    /// The project of a file, with this node named.
    pub(super) fn project(&self, program: &Program, file: &Path, given: &GivenArgs) -> Result<Project, Stop> {
        let project = Project::of_file(program, file, vec![self.node.clone()], given, Settings::OrLast);
        project.map_err(|error| diagnostic::unusable(&error))
    }
}

/// The digest of a node's output in the last run, or with the settings given.
pub(super) fn find(
    program: &Program,
    project: &Project,
    given: &GivenArgs,
    wanted: &Wanted,
) -> Result<(Port, Digest), Stop> {
    let index = wanted.one(project)?;
    let name = &project.pipeline.graph[index].name;
    let kind = &project.pipeline.graph[index].kind;
    let port = match &wanted.output {
        Some(output) => kind.output(output),
        None => kind.main_output(),
    };
    let Some(port) = port else {
        let all: Vec<_> = kind.outputs.iter().map(|port| port.name).collect();
        let message = format!("`{name}` has no output `{}`", wanted.output.as_deref().unwrap_or_default());
        diagnostic::error(&message, Some(&format!("its outputs: {}", all.join(", "))));
        return Err(Stop::Mistake);
    };
    let last = project.last.as_ref().and_then(|last| last.nodes.get(name));
    let outputs = if given.set.is_empty() && given.params.is_empty() && given.profile.is_empty() {
        last.map(|node| node.result.outputs.clone())
    } else {
        let plan = super::plan_of(project.context(program, false), &[])?;
        let node = plan.nodes.into_iter().find(|node| node.name == *name);
        node.filter(|node| matches!(node.status, Status::Cached)).map(|node| node.outputs)
    };
    let digest = outputs.and_then(|outputs| outputs.get(port.name).copied());
    digest.map(|digest| (port, digest)).ok_or_else(|| {
        let (message, hint) = if last.is_some() && kind.per_item {
            (
                format!("the items of `{name}` pass into the next node and are not stored"),
                "write `keep: true` on the node to store them",
            )
        } else {
            (format!("`{name}` has not been run"), "run it first: `pipe run`")
        };
        diagnostic::error(&message, Some(hint));
        Stop::Failed
    })
}

/// What a node's command wrote to its terminal.
fn log_of(project: &Project, index: NodeIndex) -> Result<String, Stop> {
    let node = &project.pipeline.graph[index].name;
    // Of a node that failed in the last run, what was written then.
    let runs = super::runs::of_file(&project.store, Some(&project.id));
    let failed = runs.first().and_then(|run| run.ran.get(node)?.log);
    let last = project.last.as_ref().and_then(|last| last.nodes.get(node));
    let log = failed.or_else(|| last?.result.log).and_then(|log| project.store.get(log));
    log.map(|log| String::from_utf8_lossy(&log).into_owned()).ok_or_else(|| {
        diagnostic::error(&format!("`{node}` has no log"), Some("nodes that run a command keep one"));
        Stop::Failed
    })
}

fn run_text(store: &Store, run: &Run) -> String {
    let mut text = format!("{}  {}\n", run.id, super::log::ending(run));
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<10}  {value}\n"));
    line("pipeline", format!("{} ({})", run.pipeline, run.file));
    line("began", run.time.clone());
    line("took", seconds(run.seconds));
    line("device", run.device.clone());
    line("version", run.version.clone());
    if !run.given.is_empty() {
        line("given", run.given.words().join(" "));
    }
    for (name, value) in &run.environment {
        line("variable", format!("{name} = {value}"));
    }
    for (name, value) in &run.params {
        line("param", format!("{name} = {value}"));
    }
    let nodes = run_nodes(store, run).unwrap_or_default();
    let names: std::collections::BTreeSet<&String> = nodes.keys().chain(run.ran.keys()).collect();
    let row = |name: &String| {
        let report = run.ran.get(name);
        let status = report.map_or("reused", |report| report.status.word());
        let items = nodes.get(name).map_or(0, |result| result.items);
        let took = report.map_or_else(String::new, |report| seconds(report.seconds));
        let numbers = nodes.get(name).map(|result| &result.metrics).into_iter().flatten();
        let numbers: Vec<String> = numbers.map(|(name, value)| format!("{name} {value:.4}")).take(4).collect();
        let items = if items > 0 { count(items) } else { String::new() };
        vec![name.clone(), status.to_owned(), items, took, numbers.join("  ")]
    };
    let rows: Vec<Vec<String>> = names.into_iter().map(row).collect();
    text.push('\n');
    text.push_str(&table::table(&["node", "", "items", "took", "metrics"], &rows));
    text
}

fn body(artifact: &Artifact) -> Value {
    match artifact {
        Artifact::Records(records) => json!(records),
        Artifact::Collection(collection) => json!(collection),
        Artifact::Document(document) => document.json.clone(),
        Artifact::Files(files) => json!(files),
    }
}

fn text(artifact: &Artifact, rows: usize) -> String {
    match artifact {
        Artifact::Records(records) => records_text(records, rows),
        Artifact::Collection(collection) => collection_text(collection, rows),
        Artifact::Document(document) => document_text(document, rows),
        files => core_table(files).map(|table| head(&table, rows)).unwrap_or_default(),
    }
}

fn records_text(records: &Records, rows: usize) -> String {
    let mut text = core_table(&Artifact::Records(records.clone())).map(|table| head(&table, rows)).unwrap_or_default();
    let mut counts: Vec<Vec<String>> = Vec::new();
    let splits: std::collections::BTreeSet<_> = records.rows.iter().map(|row| row.split).collect();
    for split in &splits {
        let of = |class: &str| records.rows.iter().filter(|row| row.split == *split && row.value == class).count();
        let each: Vec<usize> = records.classes.iter().map(|class| of(class)).collect();
        let name = split.map_or("all", |split| split.name());
        counts.push(
            [name.to_owned()]
                .into_iter()
                .chain(each.iter().map(|&n| count(n)))
                .chain([count(each.iter().sum())])
                .collect(),
        );
    }
    let names: Vec<String> = records.classes.iter().map(|class| format!("value {class}")).collect();
    let header: Vec<&str> = ["rows"].into_iter().chain(names.iter().map(String::as_str)).chain(["total"]).collect();
    text.push('\n');
    text.push_str(&table::table(&header, &counts));
    text
}

fn collection_text(collection: &Collection, rows: usize) -> String {
    let mut text = format!("{} items\n", count(collection.items.len()));
    fields(&mut text, "", &collection.meta);
    if !collection.skipped.is_empty() {
        text.push_str(&format!("\n{} skipped:\n", count(collection.skipped.len())));
        for skipped in collection.skipped.iter().take(rows) {
            text.push_str(&format!("  {}: {}\n", skipped.id, skipped.reason));
        }
    }
    text
}

fn document_text(document: &Document, rows: usize) -> String {
    let json = &document.json;
    if let Some(table) = core_table(&Artifact::Document(document.clone())) {
        return head(&table, rows);
    }
    let mut text = String::new();
    if let Some(layers) = json["layers"].as_array() {
        let cell = |layer: &Value, key: &str| match &layer[key] {
            Value::Number(number) => count(number.as_u64().unwrap_or_default() as usize),
            value => value.as_str().unwrap_or_default().to_owned(),
        };
        let keys = ["layer", "kind", "channels", "parameters"];
        let all: Vec<Vec<String>> = layers.iter().map(|layer| keys.map(|key| cell(layer, key)).to_vec()).collect();
        text.push_str(&table::table(&keys, &all));
        text.push('\n');
    }
    fields(&mut text, "", json);
    if let Some(confusion) = confusion(json) {
        text.push('\n');
        text.push_str(&confusion);
    }
    text
}

fn confusion(json: &Value) -> Option<String> {
    let classes: Vec<&str> = json["classes_order"].as_array()?.iter().filter_map(Value::as_str).collect();
    let names: Vec<String> = classes.iter().map(|class| format!("predicted {class}")).collect();
    let header: Vec<&str> = ["test"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows: Vec<Vec<String>> = json["confusion"]
        .as_array()?
        .iter()
        .zip(&classes)
        .map(|(row, class)| {
            let cells = row.as_array().into_iter().flatten().map(|n| count(n.as_u64().unwrap_or_default() as usize));
            [format!("value {class}")].into_iter().chain(cells).collect()
        })
        .collect();
    Some(table::table(&header, &rows))
}

/// A line for each plain value, `train.accuracy  0.9713`; lists of lists are left to others.
fn fields(text: &mut String, path: &str, value: &Value) {
    let Value::Object(map) = value else { return };
    for (key, value) in
        map.iter().filter(|(key, _)| !matches!(key.as_str(), "layers" | "confusion" | "classes_order" | "epochs"))
    {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(_) => fields(text, &path, value),
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {}
            Value::Number(number) if number.is_f64() => {
                text.push_str(&format!("{path:<28}  {:.4}\n", number.as_f64().unwrap_or_default()));
            }
            Value::Number(number) => {
                text.push_str(&format!("{path:<28}  {}\n", count(number.as_u64().unwrap_or_default() as usize)))
            }
            Value::String(word) => text.push_str(&format!("{path:<28}  {word}\n")),
            Value::Null => text.push_str(&format!("{path:<28}  -\n")),
            value => text.push_str(&format!("{path:<28}  {value}\n")),
        }
    }
}

fn head(table: &Table, shown: usize) -> String {
    let header: Vec<&str> = table.header.iter().map(String::as_str).collect();
    let rows = &table.rows;
    let mut text = table::table(&header, &rows[..rows.len().min(shown)]);
    if rows.len() > shown {
        text.push_str(&format!("… {} rows more; --rows N shows more, --format csv all\n", count(rows.len() - shown)));
    }
    text
}
