//! Graphviz's DOT.

use super::{Picture, colour, fill};

pub(crate) fn draw(picture: &Picture) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = format!("digraph {} {{\n  rankdir=LR\n", quoted(&picture.name));
    text.push_str("  node [shape=box style=\"rounded,filled\" fontname=\"sans-serif\" fontsize=11]\n");
    text.push_str("  edge [fontname=\"sans-serif\" fontsize=9]\n");
    for node in &picture.nodes {
        let (fill, stroke) = fill(node.status);
        let label = if node.kind.is_empty() { node.name.clone() } else { format!("{}\n{}", node.name, node.kind) };
        let label = quoted(&label).replace('\n', "\\n");
        let dashed = if node.status == "off" { " style=\"rounded,dashed\"" } else { "" };
        text.push_str(&format!(
            "  {} [label={label} fillcolor=\"{fill}\" color=\"{stroke}\" tooltip={}{dashed}]\n",
            quoted(&node.name),
            quoted(&format!("{}; {}", node.status, node.detail)),
        ));
    }
    for edge in &picture.edges {
        let (from, to) = (quoted(&picture.nodes[edge.from].name), quoted(&picture.nodes[edge.to].name));
        let colour = colour(edge.artifact);
        text.push_str(&format!(
            "  {from} -> {to} [label=\"{}\" color=\"{colour}\" fontcolor=\"{colour}\"]\n",
            edge.artifact
        ));
    }
    text.push_str("}\n");
    text
}
