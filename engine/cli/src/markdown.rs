//! Kinds documented from their specifications.

use std::sync::Arc;

use pipe_core::Kinds;
use pipe_spec::{Field, KindSpec, Port, Shape};

/// The reference of every kind, in Markdown: `docs/nodes.md`.
pub fn kinds_as_markdown(kinds: &Kinds) -> String {
    let mut text = "# Nodes\n\nEvery kind of the standard library, written from its specification: \
        `pipe nodes KIND` prints the same.\n"
        .to_owned();
    for spec in kinds.specs() {
        text.push('\n');
        text.push_str(&kind(spec));
    }
    text
}

/// One kind, in Markdown.
pub(crate) fn kind(spec: &Arc<KindSpec>) -> String {
    let mut text = format!("## {}\n\n{}\n\n", spec.name, spec.doc);
    let takes = match (spec.inputs.as_slice(), spec.more_inputs) {
        ([], true) => "any number of artifacts, each under a name of yours".to_owned(),
        (inputs, true) => format!("{}, and any number of others, each under a name of yours", ports(inputs)),
        (inputs, false) => ports(inputs),
    };
    text.push_str(&format!("- Takes: {takes}\n- Gives: {}\n", ports(&spec.outputs)));
    if spec.per_item {
        text.push_str("- Works item by item: an item computed once is never computed again.\n");
    }
    let Shape::Struct(fields) = &spec.params else { return text };
    if fields.is_empty() {
        text.push_str("\nNo params.\n");
        return text;
    }
    text.push_str("\n| param | what may be written | default | |\n|---|---|---|---|\n");
    for field in fields {
        row(&mut text, &field.name, field);
    }
    text
}

fn row(text: &mut String, name: &str, field: &Field) {
    let default = match (&field.default, field.required) {
        (Some(value), _) => format!("`{value}`"),
        (None, true) => "needed".to_owned(),
        (None, false) => String::new(),
    };
    let doc = field.doc.replace('\n', " ");
    let shape = field.shape.to_string().replace('|', "\\|");
    text.push_str(&format!("| `{name}` | {shape} | {default} | {doc} |\n"));
    choices(text, name, &field.shape);
}

/// The words that a param may be, and the params inside it.
fn choices(text: &mut String, name: &str, shape: &Shape) {
    match shape {
        Shape::Choice(words) => {
            for word in words.iter().filter(|word| !word.doc.is_empty()) {
                text.push_str(&format!("| `{name}: {}` | | | {} |\n", word.name, word.doc.replace('\n', " ")));
            }
        }
        Shape::Struct(fields) => fields.iter().for_each(|field| row(text, &format!("{name}.{}", field.name), field)),
        Shape::OneOf(shapes) => shapes.iter().for_each(|shape| choices(text, name, shape)),
        _ => {}
    }
}

fn ports(ports: &[Port]) -> String {
    if ports.is_empty() {
        return "nothing".to_owned();
    }
    let many = |port: &Port| if port.many { ", any number" } else { "" };
    ports.iter().map(|port| format!("`{}` ({}{})", port.name, port.artifact, many(port))).collect::<Vec<_>>().join(", ")
}
