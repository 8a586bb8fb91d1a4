//! SVG, drawn here.

use std::fmt::Write;

use super::layout::{HEIGHT, Layout, Place, layout};
use super::{Picture, colour, escaped, fill};

const STYLE: &str = "\
.name{font:600 13px ui-sans-serif,system-ui,sans-serif;fill:#1f2328}\
.kind{font:11px ui-sans-serif,system-ui,sans-serif;fill:#57606a}\
.legend{font:12px ui-sans-serif,system-ui,sans-serif;fill:#57606a}\
.node rect{rx:7px;stroke-width:1.4}.off rect{stroke-dasharray:4 3}\
.edge{fill:none;stroke-width:1.8;opacity:.75}.back{fill:#fff}";

/// The whole picture, with a legend below.
pub(crate) fn draw(picture: &Picture) -> String {
    let (body, width, height) = inside(picture);
    let legend = legend(picture, height);
    let width = width.max(420.0);
    let height = height + 34.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}</style>\n\
         <rect class=\"back\" width=\"100%\" height=\"100%\"/>\n{body}{legend}</svg>\n"
    )
}

/// The nodes and edges, and how much room they take.
pub(super) fn inside(picture: &Picture) -> (String, f64, f64) {
    let layout = layout(picture);
    let mut svg = String::new();
    svg.push_str("<defs>");
    for artifact in picture.legend().1 {
        let _ = write!(
            svg,
            "<marker id=\"{artifact}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto-start-reverse\"><path d=\"M0 0L8 4L0 8z\" fill=\"{}\"/></marker>",
            colour(artifact)
        );
    }
    svg.push_str("</defs>\n");
    for edge in &picture.edges {
        let _ = writeln!(
            svg,
            "<path class=\"edge\" data-from=\"{}\" data-to=\"{}\" stroke=\"{}\" marker-end=\"url(#{})\" \
             d=\"{}\"><title>{}</title></path>",
            edge.from,
            edge.to,
            colour(edge.artifact),
            edge.artifact,
            line(&layout, edge.from, edge.to),
            escaped(&format!("{}: {}", edge.artifact, edge.input)),
        );
    }
    for (at, (node, place)) in picture.nodes.iter().zip(&layout.nodes).enumerate() {
        let (fill, stroke) = fill(node.status);
        let middle = place.x + place.width / 2.0;
        let (name_y, kind_y) = if node.kind.is_empty() { (27.0, 0.0) } else { (19.0, 34.0) };
        let _ = writeln!(
            svg,
            "<g class=\"node {}\" data-node=\"{at}\"><title>{}</title>\
             <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"{fill}\" stroke=\"{stroke}\"/>\
             <text class=\"name\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"kind\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            node.status,
            escaped(&format!("{}: {} {}", node.name, node.status, node.detail)),
            place.x,
            place.y,
            place.width,
            place.y + name_y,
            escaped(&node.name),
            place.y + kind_y,
            escaped(&node.kind),
        );
    }
    (svg, layout.width, layout.height)
}

/// The way of an edge: bent between columns, straight through those that it passes.
fn line(layout: &Layout, from: usize, to: usize) -> String {
    let (from_place, to_place) = (layout.nodes[from], layout.nodes[to]);
    let (mut x, mut y) = (from_place.x + from_place.width, from_place.y + HEIGHT / 2.0);
    let mut path = format!("M{x:.1} {y:.1}");
    let passes = layout.passes.get(&(from, to)).map(Vec::as_slice).unwrap_or_default();
    let end = Place { x: to_place.x - 2.0, y: to_place.y + HEIGHT / 2.0, width: 0.0 };
    for place in passes.iter().chain([&end]) {
        let bend = (place.x - x) / 2.0;
        let _ =
            write!(path, "C{:.1} {y:.1} {:.1} {:.1} {:.1} {:.1}", x + bend, place.x - bend, place.y, place.x, place.y);
        (x, y) = (place.x + place.width, place.y);
        if place.width > 0.0 {
            let _ = write!(path, "H{x:.1}");
        }
    }
    path
}

fn legend(picture: &Picture, top: f64) -> String {
    let (statuses, artifacts) = picture.legend();
    let (mut svg, mut x) = (String::new(), 24.0);
    let y = top + 8.0;
    for status in statuses {
        let (fill, stroke) = fill(status);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{:.1}\" width=\"12\" height=\"12\" rx=\"3\" fill=\"{fill}\" stroke=\"{stroke}\"/>\
             <text class=\"legend\" x=\"{}\" y=\"{:.1}\">{status}</text>",
            y - 10.0,
            x + 18.0,
            y
        );
        x += 34.0 + 7.0 * status.len() as f64;
    }
    for artifact in artifacts {
        let name = artifact.to_string();
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {:.1}h16\" stroke=\"{}\" stroke-width=\"2.5\"/>\
             <text class=\"legend\" x=\"{}\" y=\"{y:.1}\">{name}</text>",
            y - 4.0,
            colour(artifact),
            x + 22.0,
        );
        x += 38.0 + 7.0 * name.len() as f64;
    }
    svg
}
