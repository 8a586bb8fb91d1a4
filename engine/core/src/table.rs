//! Artifacts as tables.

use serde_json::Value;

use crate::{Artifact, Document, Record, Records};

/// Rows of text under a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<String>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
}

/// The table that an artifact holds, where it holds one: records, predictions, a history of epochs.
pub fn table(artifact: &Artifact) -> Option<Table> {
    match artifact {
        Artifact::Records(records) => Some(records_table(records)),
        Artifact::Collection(collection) => Some(records_table(&collection.records)),
        Artifact::Document(document) => document_table(document),
        Artifact::Files(files) => {
            let rows = files.files.iter().map(|(path, digest)| vec![path.clone(), digest.to_string()]).collect();
            Some(Table { header: ["path", "digest"].map(str::to_owned).to_vec(), rows })
        }
    }
}

impl Table {
    /// As RFC 4180 has it.
    pub fn to_csv(&self) -> Option<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header).ok()?;
        for row in &self.rows {
            writer.write_record(row).ok()?;
        }
        writer.into_inner().ok()
    }
}

fn records_table(records: &Records) -> Table {
    let split = records.rows.iter().any(|row| row.split.is_some());
    let mut header = vec!["objectId".to_owned(), "value".to_owned()];
    header.extend(split.then(|| "type".to_owned()));
    let row = |row: &Record| {
        let part = split.then(|| row.split.map_or("", |split| split.name()).to_owned());
        [row.id.clone(), row.value.clone()].into_iter().chain(part).collect()
    };
    Table { header, rows: records.rows.iter().map(row).collect() }
}

/// Rows of names and values, with a column for each name that any row has.
fn named_columns(rows: &[Value]) -> Table {
    let mut header: Vec<String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !header.contains(name) {
            header.push(name.clone());
        }
    }
    let cell = |value: &Value| match value {
        Value::Number(number) if number.is_f64() => format!("{:.6}", number.as_f64().unwrap_or_default()),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let rows = rows.iter().map(|row| header.iter().map(|name| cell(&row[name])).collect()).collect();
    Table { header, rows }
}

fn document_table(document: &Document) -> Option<Table> {
    let json = &document.json;
    let number = |value: &Value| value.as_f64().map_or_else(String::new, |value| format!("{value:.6}"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(rows) = ["comparison", "suspects"].iter().find_map(|&name| json[name].as_array()) {
        return Some(named_columns(rows));
    }
    if let Some(rows) = json["rows"].as_array() {
        let classes = json["classes"].as_array()?;
        let names = classes.iter().map(|class| format!("p({})", word(class)));
        let header = ["objectId", "value", "type", "predicted"].map(str::to_owned).into_iter().chain(names).collect();
        let row = |row: &Value| {
            let cells = ["objectId", "value", "type", "predicted"].map(|key| word(&row[key]));
            let each = row["probabilities"].as_array().into_iter().flatten().map(number);
            cells.into_iter().chain(each).collect()
        };
        return Some(Table { header, rows: rows.iter().map(row).collect() });
    }
    let columns = json["epochs"].as_object()?;
    let names: Vec<&String> = columns.keys().collect();
    let length = columns.values().next()?.as_array()?.len();
    let header = ["epoch".to_owned()].into_iter().chain(names.iter().map(|&name| name.clone())).collect();
    let row = |at: usize| {
        [(at + 1).to_string()].into_iter().chain(columns.values().map(|column| number(&column[at]))).collect()
    };
    Some(Table { header, rows: (0..length).map(row).collect() })
}
