//! Where the nodes of a picture are: in columns from left to right, by Sugiyama's method.

use std::collections::BTreeMap;

use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use rust_sugiyama::configure::Config;
use rust_sugiyama::from_graph;

use super::Picture;

/// The height of a node, in pixels.
pub(super) const HEIGHT: f64 = 44.0;
/// The room between two nodes of a column, and between two columns.
const GAP: (f64, f64) = (16.0, 64.0);
/// The height that an edge takes in a column that it passes.
const LANE: f64 = 8.0;
/// The room around a picture.
const MARGIN: f64 = 24.0;

/// A box: the place of its upper left corner, and its width.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
}

/// Where everything is.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The place of each node.
    pub(super) nodes: Vec<Place>,
    /// For each pair of nodes with an edge, the columns that it passes: from where to where, and how high.
    pub(super) passes: BTreeMap<(usize, usize), Vec<Place>>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Pictures with more nodes and passes are laid out plainly: the method takes time with their square.
const MANY: usize = 800;

/// A vertex of the graph that is laid out: a node, or an edge on its way through a column.
#[derive(Debug, Clone, Copy)]
enum Vertex {
    Node(usize),
    Pass(usize, usize, usize),
}

pub(super) fn layout(picture: &Picture) -> Layout {
    let columns = columns(picture);
    let passes = picture.edges.iter().map(|edge| columns[edge.to].saturating_sub(columns[edge.from] + 1));
    if passes.fold(picture.nodes.len(), usize::saturating_add) > MANY {
        return plain(picture, &columns);
    }
    let mut graph: StableDiGraph<Vertex, ()> = StableDiGraph::new();
    let indices: Vec<_> = (0..picture.nodes.len()).map(|at| graph.add_node(Vertex::Node(at))).collect();
    let mut layout = Layout { nodes: vec![Place::default(); picture.nodes.len()], ..Layout::default() };
    for edge in &picture.edges {
        let (from, to) = (edge.from, edge.to);
        if layout.passes.contains_key(&(from, to)) {
            continue;
        }
        let passed = columns[to].saturating_sub(columns[from] + 1);
        layout.passes.insert((from, to), vec![Place::default(); passed]);
        let mut last = indices[from];
        for at in 0..passed {
            let next = graph.add_node(Vertex::Pass(from, to, at));
            graph.add_edge(last, next, ());
            last = next;
        }
        graph.add_edge(last, indices[to], ());
    }
    let size = |_: NodeIndex, vertex: &Vertex| match vertex {
        Vertex::Node(_) => (HEIGHT, HEIGHT),
        Vertex::Pass(..) => (LANE, HEIGHT),
    };
    let config = Config { vertex_spacing: GAP.0, ..Config::default() };
    let (mut top, mut right) = (MARGIN, 0.0_f64);
    // The library draws downwards; turned by a quarter its layers are our columns.
    for (part, ..) in from_graph(&graph, &size, &config) {
        let first = part.iter().filter_map(|(index, _)| match graph[*index] {
            Vertex::Node(at) => Some(columns[at]),
            Vertex::Pass(..) => None,
        });
        let (low, high) = first.fold((usize::MAX, 0), |(low, high), column| (low.min(column), high.max(column)));
        let mut widths = vec![0.0_f64; high.saturating_sub(low) + 1];
        for (index, _) in &part {
            if let Vertex::Node(at) = graph[*index] {
                let column = columns[at] - low;
                widths[column] = widths[column].max(width(&picture.nodes[at]));
            }
        }
        let least = part.iter().map(|(_, (x, _))| *x).fold(f64::MAX, f64::min);
        let most = part.iter().map(|(_, (x, _))| *x).fold(f64::MIN, f64::max);
        for (index, (x, _)) in &part {
            let column = match graph[*index] {
                Vertex::Node(at) => columns[at] - low,
                Vertex::Pass(from, _, at) => columns[from] + 1 + at - low,
            };
            let left: f64 = widths[..column].iter().map(|width| width + GAP.1).sum();
            let place = Place { x: MARGIN + left, y: top + x - least, width: widths[column] };
            match graph[*index] {
                Vertex::Node(at) => layout.nodes[at] = place,
                Vertex::Pass(from, to, at) => {
                    if let Some(passes) = layout.passes.get_mut(&(from, to)) {
                        passes[at] = Place { y: place.y + HEIGHT / 2.0, ..place };
                    }
                }
            }
        }
        let width: f64 = widths.iter().map(|width| width + GAP.1).sum();
        right = right.max(MARGIN + width - GAP.1);
        top += most - least + HEIGHT + GAP.0;
    }
    layout.width = right + MARGIN;
    layout.height = top - GAP.0 + MARGIN;
    layout
}

/// Each column from top to bottom in the order of the nodes; edges go straight.
fn plain(picture: &Picture, columns: &[usize]) -> Layout {
    let count = columns.iter().max().map_or(0, |last| last + 1);
    let (mut widths, mut filled) = (vec![0.0_f64; count], vec![0_usize; count]);
    for (node, &column) in picture.nodes.iter().zip(columns) {
        widths[column] = widths[column].max(width(node));
    }
    let mut left = vec![MARGIN; count];
    for column in 1..count {
        left[column] = left[column - 1] + widths[column - 1] + GAP.1;
    }
    let place = |&column: &usize| {
        filled[column] += 1;
        let y = MARGIN + (filled[column] - 1) as f64 * (HEIGHT + GAP.0);
        Place { x: left[column], y, width: widths[column] }
    };
    let nodes: Vec<Place> = columns.iter().map(place).collect();
    let rows = filled.iter().max().copied().unwrap_or_default() as f64;
    let width = left.last().zip(widths.last()).map_or(0.0, |(left, width)| left + width) + MARGIN;
    Layout { nodes, passes: BTreeMap::new(), width, height: 2.0 * MARGIN + rows * (HEIGHT + GAP.0) - GAP.0 }
}

/// The column of each node: one further than those of all it reads.
fn columns(picture: &Picture) -> Vec<usize> {
    let mut columns = vec![0; picture.nodes.len()];
    let mut waits = vec![0_usize; picture.nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); picture.nodes.len()];
    for edge in &picture.edges {
        waits[edge.to] += 1;
        readers[edge.from].push(edge.to);
    }
    let mut open: Vec<usize> = (0..waits.len()).filter(|&at| waits[at] == 0).collect();
    while let Some(at) = open.pop() {
        for &reader in &readers[at] {
            columns[reader] = columns[reader].max(columns[at] + 1);
            waits[reader] -= 1;
            if waits[reader] == 0 {
                open.push(reader);
            }
        }
    }
    columns
}

fn width(node: &super::Node) -> f64 {
    let name = 8.0 * node.name.chars().count() as f64;
    let kind = 6.4 * node.kind.chars().count() as f64;
    name.max(kind) + 28.0
}
