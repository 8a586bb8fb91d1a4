//! `pipe show`.

use pipe_core::{Artifact, Collection, Document, Kinds, Records};
use pipe_store::Digest;
use serde_json::{Value, json};

use crate::args::{ArtifactFormat, ShowArgs};
use crate::number::count;
use crate::project::{Project, Settings};
use crate::{Stop, diagnostic, output, table};

pub(crate) fn show(kinds: &Kinds, args: &ShowArgs) -> Result<(), Stop> {
    let mut project =
        Project::open(kinds, &args.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let [wanted]: &[String; 1] = &project.nodes.clone().try_into().map_err(|_| {
        diagnostic::error("which node?", Some("name one: `pipe show NODE` or `pipe show NODE.OUTPUT`"));
        Stop::Mistake
    })?;
    let (name, output) = match wanted.split_once('.') {
        Some((name, output)) => (name.to_owned(), Some(output.to_owned())),
        None => (wanted.clone(), None),
    };
    project.nodes = vec![name.clone()];
    let digest = find(kinds, &project, args, &name, output.as_deref())?;
    let Some(artifact) = Artifact::load(&project.store, digest) else {
        diagnostic::error("it is no longer in the store", Some("`pipe run` computes it again"));
        return Err(Stop::Failed);
    };
    let text = match args.format {
        ArtifactFormat::Json => format!("{:#}\n", body(&artifact)),
        ArtifactFormat::Csv => csv(&artifact).ok_or_else(|| {
            diagnostic::error(&format!("`{wanted}` is not a table"), Some("use --format text or json"));
            Stop::Mistake
        })?,
        ArtifactFormat::Text => text(&artifact, args.rows),
    };
    output::result(&text)
}

/// The digest of a node's output in the last run, or with the settings given.
fn find(kinds: &Kinds, project: &Project, args: &ShowArgs, name: &str, output: Option<&str>) -> Result<Digest, Stop> {
    let index = super::targets(project)?.first().copied().ok_or(Stop::Mistake)?;
    let kind = &project.pipeline.graph[index].kind;
    let port = match output {
        Some(output) => kind.output(output),
        None => kind.outputs.first(),
    };
    let Some(port) = port else {
        let all: Vec<_> = kind.outputs.iter().map(|port| port.name).collect();
        let message = format!("`{name}` has no output `{}`", output.unwrap_or_default());
        diagnostic::error(&message, Some(&format!("its outputs: {}", all.join(", "))));
        return Err(Stop::Mistake);
    };
    let outputs = if args.file.set.is_empty() {
        project.last.as_ref().and_then(|run| run.nodes.get(name)).map(|node| node.outputs.clone())
    } else {
        let plan = super::plan_of(kinds, project, &[])?;
        plan.nodes.into_iter().find(|node| node.name == name).map(|node| node.outputs)
    };
    outputs.and_then(|outputs| outputs.get(port.name).copied()).ok_or_else(|| {
        let streamed =
            project.last.as_ref().is_some_and(|run| run.nodes.get(name).is_some_and(|node| node.status.is_done()));
        let (message, hint) = if streamed && kind.per_item {
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

fn body(artifact: &Artifact) -> Value {
    match artifact {
        Artifact::Records(records) => json!(records),
        Artifact::Collection(collection) => json!(collection),
        Artifact::Document(document) => document.json.clone(),
    }
}

fn text(artifact: &Artifact, rows: usize) -> String {
    match artifact {
        Artifact::Records(records) => records_text(records, rows),
        Artifact::Collection(collection) => collection_text(collection, rows),
        Artifact::Document(document) => document_text(document, rows),
    }
}

fn records_text(records: &Records, rows: usize) -> String {
    let (header, table_rows) = records_table(records);
    let mut text = head((&header, &table_rows), rows);
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
    if let Some((header, all)) = document_table(document) {
        return head((&header, &all), rows);
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

type Table = (Vec<String>, Vec<Vec<String>>);

fn head((header, rows): (&[String], &[Vec<String>]), shown: usize) -> String {
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut text = table::table(&header, &rows[..rows.len().min(shown)]);
    if rows.len() > shown {
        text.push_str(&format!("… {} rows more; --rows N shows more, --format csv all\n", count(rows.len() - shown)));
    }
    text
}

fn records_table(records: &Records) -> Table {
    let split = records.rows.iter().any(|row| row.split.is_some());
    let mut header = vec!["objectId".to_owned(), "value".to_owned()];
    header.extend(split.then(|| "type".to_owned()));
    let row = |row: &pipe_core::Record| {
        let part = split.then(|| row.split.map_or("", |split| split.name()).to_owned());
        [row.id.clone(), row.value.clone()].into_iter().chain(part).collect()
    };
    (header, records.rows.iter().map(row).collect())
}

/// The table that a document holds, where it holds one: predictions or a history of epochs.
fn document_table(document: &Document) -> Option<Table> {
    let json = &document.json;
    let number = |value: &Value| value.as_f64().map_or_else(String::new, |value| format!("{value:.6}"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(rows) = json["rows"].as_array() {
        let classes = json["classes"].as_array()?;
        let names = classes.iter().map(|class| format!("p({})", word(class)));
        let header = ["objectId", "value", "type", "predicted"].map(str::to_owned).into_iter().chain(names).collect();
        let row = |row: &Value| {
            let cells = ["objectId", "value", "type", "predicted"].map(|key| word(&row[key]));
            let each = row["probabilities"].as_array().into_iter().flatten().map(number);
            cells.into_iter().chain(each).collect()
        };
        return Some((header, rows.iter().map(row).collect()));
    }
    let columns = json["epochs"].as_object()?;
    let names: Vec<&String> = columns.keys().collect();
    let length = columns.values().next()?.as_array()?.len();
    let header = ["epoch".to_owned()].into_iter().chain(names.iter().map(|&name| name.clone())).collect();
    let row = |at: usize| {
        [(at + 1).to_string()].into_iter().chain(columns.values().map(|column| number(&column[at]))).collect()
    };
    Some((header, (0..length).map(row).collect()))
}

fn csv(artifact: &Artifact) -> Option<String> {
    let (header, rows) = match artifact {
        Artifact::Records(records) => records_table(records),
        Artifact::Collection(collection) => records_table(&collection.records),
        Artifact::Document(document) => document_table(document)?,
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).ok()?;
    for row in &rows {
        writer.write_record(row).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}
