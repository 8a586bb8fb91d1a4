//! `pipe show`.

use petgraph::graph::NodeIndex;
use pipe_core::{Artifact, Collection, Document, Records, Run, Status, Table, run_nodes, table as core_table};
use pipe_lang::Unknown;
use pipe_spec::Port;
use pipe_store::{Digest, Store};
use serde_json::{Value, json};

use crate::args::{ArtifactFormat, GivenArgs, ShowArgs};
use crate::number::{count, seconds};
use crate::project::{Place, Project, Settings, split_words};
use crate::{Program, Stop, diagnostic, output, table};

pub(crate) fn show(program: &Program, args: &ShowArgs) -> Result<(), Stop> {
    let (file, words) = split_words(program, &args.file.words);
    let [word] = words.as_slice() else {
        let hint = "name one: `pipe show NODE`, `pipe show NODE.OUTPUT` or `pipe show RUN`";
        diagnostic::error("show what?", Some(hint));
        return Err(Stop::Mistake);
    };
    let project = match Project::of_file(program, &file, Vec::new(), &args.file.given, Settings::OrLast) {
        Ok(project) => project,
        // A run can be shown whatever has become of the pipeline since.
        Err(error) => {
            let shown = Place::of(&file).ok().and_then(|place| run(&place.store, &place.id, word, args.format));
            return shown.map_or_else(|| Err(diagnostic::unusable(&error)), |text| output::result(&text));
        }
    };
    if matches!(project.pipeline.select_outputs(word), Err(Unknown::Node(_)))
        && let Some(text) = run(&project.store, &project.id, word, args.format)
    {
        return output::result(&text);
    }
    if args.log {
        return output::result(&log_of(&project, one(&project, word)?.0)?);
    }
    let (_, digest) = find(program, &project, &args.file.given, word)?;
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

/// What a run did, where the word names one.
fn run(store: &Store, id: &str, word: &str, format: ArtifactFormat) -> Option<String> {
    let runs = super::runs::of_file(store, Some(id));
    let run = super::runs::find(&runs, word)?;
    Some(match format {
        ArtifactFormat::Json => format!("{:#}\n", super::log::as_json(store, run)),
        _ => run_text(store, run),
    })
}

/// The one output that a word means.
fn one(project: &Project, word: &str) -> Result<(NodeIndex, Port), Stop> {
    let graph = &project.pipeline.graph;
    let found = match project.pipeline.select_outputs(word) {
        Ok(found) => found,
        Err(Unknown::Node(near)) => return Err(super::no_node(project, word, near)),
        Err(Unknown::Output(names)) => {
            let hint = pipe_lang::listed("its outputs", names.into_iter());
            diagnostic::error(&format!("`{word}` names no output"), Some(&hint));
            return Err(Stop::Mistake);
        }
    };
    match found.as_slice() {
        [only] => Ok(*only),
        [] => {
            diagnostic::error(&format!("nothing comes of `{word}`"), Some("it is switched off, or has no such value"));
            Err(Stop::Mistake)
        }
        several => {
            let names = several.iter().map(|(index, _)| graph[*index].name.as_str());
            let hint = pipe_lang::listed("name one", names);
            diagnostic::error(&format!("`{word}` is {} nodes", several.len()), Some(&hint));
            Err(Stop::Mistake)
        }
    }
}

/// The digest of a node's output in the last run, or with what is given.
pub(super) fn find(
    program: &Program,
    project: &Project,
    given: &GivenArgs,
    word: &str,
) -> Result<(Port, Digest), Stop> {
    let (index, port) = one(project, word)?;
    let name = &project.pipeline.graph[index].name;
    let kind = &project.pipeline.graph[index].kind;
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
        text.push_str(&table::layers(layers));
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
