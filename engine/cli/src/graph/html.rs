//! A page that works offline: the picture, which can be moved and made larger, and what is known of the
//! node that is clicked.

use serde_json::{Value, json};

use super::{Picture, colour, escaped, fill, svg};

const PAGE: &str = include_str!("page.html");

pub(crate) fn draw(picture: &Picture) -> String {
    let (body, width, height) = svg::inside(picture);
    let nodes: Vec<Value> = picture
        .nodes
        .iter()
        .map(|node| {
            json!({ "name": node.name, "kind": node.kind, "status": node.status, "detail": node.detail,
                "params": node.params, "key": node.key })
        })
        .collect();
    let (statuses, artifacts) = picture.legend();
    let statuses = statuses.into_iter().map(|status| {
        let (fill, stroke) = fill(status);
        format!("<span><i style=\"background:{fill};border-color:{stroke}\"></i>{status}</span>")
    });
    let artifacts = artifacts
        .into_iter()
        .map(|artifact| format!("<span><b style=\"background:{}\"></b>{artifact}</span>", colour(artifact)));
    let legend: String = statuses.chain(artifacts).collect();
    // Inside a script nothing may look like its end, or like a comment.
    let nodes = json!(nodes).to_string().replace('<', "\\u003c");
    let part = |name: &str| match name {
        "name" => escaped(&picture.name),
        "legend" => legend.clone(),
        "width" => format!("{width:.0}"),
        "height" => format!("{height:.0}"),
        "nodes" => nodes.clone(),
        _ => body.clone(),
    };
    // Filled in at one go: what is put in may look like a mark itself.
    let mut pieces = PAGE.split("{{");
    let mut page = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        page.push_str(&part(name));
        page.push_str(rest);
    }
    page
}
