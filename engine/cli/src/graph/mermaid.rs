//! Mermaid, as Markdown pages show it.

use super::{Picture, colour, escaped, fill};

pub(crate) fn draw(picture: &Picture) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (at, node) in picture.nodes.iter().enumerate() {
        let (name, kind) = (label(&node.name), label(&node.kind));
        text.push_str(&format!("  n{at}[\"{name}<br/><small>{kind}</small>\"]:::{}\n", node.status));
    }
    for edge in &picture.edges {
        text.push_str(&format!("  n{} -->|{}| n{}\n", edge.from, edge.artifact, edge.to));
    }
    for (at, edge) in picture.edges.iter().enumerate() {
        text.push_str(&format!("  linkStyle {at} stroke:{}\n", colour(edge.artifact)));
    }
    for status in picture.legend().0 {
        let (fill, stroke) = fill(status);
        let dashed = if status == "off" { ",stroke-dasharray:4" } else { "" };
        text.push_str(&format!("  classDef {status} fill:{fill},stroke:{stroke},color:#1f2328{dashed}\n"));
    }
    text
}

/// Text inside quotes: brackets and quotes mean something to Mermaid.
fn label(text: &str) -> String {
    escaped(text).replace('[', "&lsqb;").replace(']', "&rsqb;")
}
