//! The order of the entries of `nodes:`, and cycles among them.

use std::collections::{BTreeSet, HashMap};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::Span;
use crate::elaborate::Elaboration;
use crate::inputs::mentioned;
use crate::nodes::Entry;
use crate::problem::Problem;

impl Elaboration<'_> {
    /// The entries so that each comes after all it needs; without those that need each other.
    pub(crate) fn order(&mut self, entries: &[Entry]) -> Vec<usize> {
        let by_name: HashMap<&str, usize> =
            entries.iter().enumerate().map(|(at, entry)| (entry.key.text.as_str(), at)).collect();
        let mut graph: DiGraph<(), Span> = DiGraph::new();
        for _ in entries {
            graph.add_node(());
        }
        for (to, entry) in entries.iter().enumerate() {
            let mut names = Vec::new();
            entry.from.iter().for_each(|from| mentioned(from, &mut names));
            for (name, span) in names {
                if let Some(&from) = by_name.get(name.as_str()) {
                    graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), span);
                }
            }
        }
        let mut lost = BTreeSet::new();
        for group in kosaraju_scc(&graph) {
            let itself = |&index: &NodeIndex| graph.find_edge(index, index).is_some();
            if group.len() > 1 || group.iter().any(itself) {
                self.refuse_cycle(entries, &graph, &group);
                lost.extend(group.iter().map(|index| index.index()));
            }
        }
        let mut waits: Vec<usize> = vec![0; entries.len()];
        graph.edge_indices().filter_map(|edge| graph.edge_endpoints(edge)).for_each(|(_, to)| waits[to.index()] += 1);
        let mut ready: BTreeSet<usize> = (0..entries.len()).filter(|&at| waits[at] == 0).collect();
        let mut order = Vec::new();
        while let Some(at) = ready.pop_first() {
            order.push(at);
            for next in graph.neighbors(NodeIndex::new(at)) {
                waits[next.index()] -= 1;
                if waits[next.index()] == 0 {
                    ready.insert(next.index());
                }
            }
        }
        // What comes after a cycle still has its own mistakes told.
        let taken: BTreeSet<usize> = order.iter().copied().collect();
        order.extend((0..entries.len()).filter(|at| !taken.contains(at) && !lost.contains(at)));
        order
    }

    fn refuse_cycle(&mut self, entries: &[Entry], graph: &DiGraph<(), Span>, group: &[NodeIndex]) {
        let name = |index: NodeIndex| &entries[index.index()].key.text;
        let mut edges: Vec<(Span, String)> = graph
            .edge_indices()
            .filter_map(|edge| Some((graph.edge_endpoints(edge)?, graph[edge])))
            .filter(|((from, to), _)| group.contains(from) && group.contains(to))
            .map(|((from, to), span)| (span, format!("`{}` needs `{}`", name(to), name(from))))
            .collect();
        edges.sort_by_key(|(span, _)| span.start);
        let mut nodes = group.to_vec();
        nodes.sort();
        let nodes: Vec<_> = nodes.into_iter().map(|index| format!("`{}`", name(index))).collect();
        let mut edges = edges.into_iter();
        if let Some((span, text)) = edges.next() {
            let message = match nodes.as_slice() {
                [only] => format!("{only} needs itself"),
                nodes => format!("{} need each other", nodes.join(", ")),
            };
            let problem = Problem::new("pipe::cycle", message, span, text);
            let problem = edges.fold(problem, |problem, (span, text)| problem.label(span, text));
            self.cx.problems.push(problem.help("a pipeline goes one way: take one of these edges away"));
        }
    }
}
