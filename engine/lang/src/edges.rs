//! The edges of a pipeline: what `from:` says, and whether it fits.

use std::collections::HashMap;

use petgraph::graph::DiGraph;
use petgraph::visit::EdgeRef;

use crate::Span;
use crate::check::{Checker, Draft, used};
use crate::pipeline::{Edge, Node, cycles};
use crate::problem::Problem;
use crate::suggest;
use crate::tree::{self, Key, Tree};

impl Checker<'_> {
    /// Adds the edges that `from:` writes, and refuses cycles.
    pub(crate) fn connect(&mut self, drafts: &[Draft], names: &[String], graph: &mut DiGraph<Node, Edge>) {
        let by_name: HashMap<&str, &Draft> = drafts.iter().map(|draft| (draft.key.text.as_str(), draft)).collect();
        for draft in drafts {
            self.inputs(draft, &by_name, names, graph);
        }
        self.refuse_cycles(drafts, graph);
    }

    fn inputs(
        &mut self,
        draft: &Draft,
        drafts: &HashMap<&str, &Draft>,
        names: &[String],
        graph: &mut DiGraph<Node, Edge>,
    ) {
        let ports = draft.kind.inputs;
        let Some(written) = self.written(draft) else { return };
        for port in ports.iter().filter(|port| written.iter().all(|(name, _)| name != port.name)) {
            let unknown = matches!(&draft.from, Some(Tree { node: tree::Node::Map(entries), .. })
                if entries.iter().any(|(key, _)| ports.iter().all(|port| port.name != key.text)));
            if unknown {
                continue;
            }
            let help = match ports {
                [_] => format!("add `from:` with the node that gives {}", port.artifact),
                _ => format!("add `{}: NODE` to `from:`", port.name),
            };
            self.problems.push(
                Problem::new(
                    "pipe::missing_input",
                    format!("the node `{}` has no input `{}`", draft.key.text, port.name),
                    draft.key.span,
                    format!("needs {}", port.artifact),
                )
                .help(help),
            );
        }
        for (name, tree) in written {
            self.edge(draft, &name, &tree, drafts, names, graph);
        }
    }

    /// What is written for each input; `None` when it has been refused as a whole.
    fn written(&mut self, draft: &Draft) -> Option<Vec<(String, Tree)>> {
        let (ports, more) = (draft.kind.inputs, draft.kind.more_inputs);
        let Some(tree) = &draft.from else { return Some(Vec::new()) };
        match &tree.node {
            tree::Node::Map(entries) => {
                let mut written = Vec::new();
                for (key, value) in entries {
                    if more || ports.iter().any(|port| port.name == key.text) {
                        written.push((key.text.clone(), value.clone()));
                    } else {
                        self.unknown_input(draft, key);
                    }
                }
                Some(written)
            }
            // Without names of their own, inputs are called after the nodes that they come from.
            tree::Node::List(items) if more => {
                let mut written: Vec<(String, Tree)> = Vec::new();
                for item in items {
                    let name = called_after(&self.word(item, "an input")?);
                    if let Some((_, other)) = written.iter().find(|(other, _)| *other == name) {
                        let message = format!("two inputs of `{}` are called `{name}`", draft.key.text);
                        let problem = Problem::new("pipe::duplicate_key", message, item.span, "again here");
                        let problem = problem.label(other.span, "first here");
                        self.problems.push(problem.help("give them names: `from: { one: NODE, other: NODE }`"));
                        return None;
                    }
                    written.push((name, item.clone()));
                }
                Some(written)
            }
            _ if more && ports.is_empty() => {
                let reference = self.word(tree, &format!("`from` of `{}`", draft.key.text))?;
                Some(vec![(called_after(&reference), tree.clone())])
            }
            _ => match ports {
                [port] => Some(vec![(port.name.to_owned(), tree.clone())]),
                [] => {
                    let message = format!("`{}` takes no inputs", draft.kind.name);
                    let problem = Problem::new("pipe::unknown_key", message, tree.span, "not used");
                    self.problems.push(problem.help("remove `from:`"));
                    None
                }
                _ => {
                    let wanted: Vec<_> = ports.iter().map(|port| format!("{}: NODE", port.name)).collect();
                    let message = format!("`{}` has {} inputs", draft.kind.name, ports.len());
                    let problem = Problem::new("pipe::missing_input", message, tree.span, "which of them is this?");
                    self.problems.push(problem.help(format!("write `from: {{ {} }}`", wanted.join(", "))));
                    None
                }
            },
        }
    }

    fn unknown_input(&mut self, draft: &Draft, key: &Key) {
        let help = suggest::help(&key.text, "inputs", draft.kind.inputs.iter().map(|port| port.name));
        let message = format!("`{}` has no input `{}`", draft.kind.name, key.text);
        self.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
    }

    fn edge(
        &mut self,
        draft: &Draft,
        input: &str,
        tree: &Tree,
        drafts: &HashMap<&str, &Draft>,
        names: &[String],
        graph: &mut DiGraph<Node, Edge>,
    ) {
        let Some(reference) = self.word(tree, &format!("`from` of `{}`", draft.key.text)) else { return };
        let (name, output) = match reference.split_once('.') {
            Some((name, output)) => (name, Some(output)),
            None => (reference.as_str(), None),
        };
        let Some(source) = drafts.get(name) else {
            // A node that is there but has mistakes of its own has had them reported.
            if !names.iter().any(|other| other == name) {
                let others = names.iter().map(String::as_str).filter(|other| *other != draft.key.text);
                self.problems.push(used(
                    Problem::new("pipe::unknown_node", format!("there is no node `{name}`"), tree.span, "not known")
                        .help(suggest::help(name, "nodes", others)),
                    tree,
                ));
            }
            return;
        };
        let given = match output {
            Some(output) => source.kind.output(output),
            None => source.kind.outputs.first(),
        };
        let Some(given) = given else {
            let help =
                suggest::help(output.unwrap_or_default(), "outputs", source.kind.outputs.iter().map(|port| port.name));
            let message = format!("`{name}` has no output `{}`", output.unwrap_or_default());
            self.problems.push(Problem::new("pipe::unknown_node", message, tree.span, "not known").help(help));
            return;
        };
        let port = draft.kind.inputs.iter().find(|port| port.name == input);
        if let Some(port) = port.filter(|port| port.artifact != given.artifact) {
            let message = format!("`{}` takes {}, `{name}` gives {}", draft.key.text, port.artifact, given.artifact);
            let mut fitting: Vec<_> = drafts.values().filter(|other| other.index != draft.index).collect();
            fitting.retain(|other| other.kind.outputs.iter().any(|output| output.artifact == port.artifact));
            fitting.sort_by_key(|other| other.index);
            let fitting: Vec<_> = fitting.iter().map(|other| format!("`{}`", other.key.text)).collect();
            let help = match fitting.as_slice() {
                [] => format!("add a node that gives {}", port.artifact),
                fitting => format!("nodes that give {}: {}", port.artifact, fitting.join(", ")),
            };
            self.problems.push(
                Problem::new("pipe::type_mismatch", message, tree.span, format!("{} here", given.artifact))
                    .label(source.key.span, format!("`{}`", source.kind.name))
                    .help(help),
            );
            return;
        }
        graph.add_edge(source.index, draft.index, Edge { output: given, input: input.into() });
    }

    fn refuse_cycles(&mut self, drafts: &[Draft], graph: &DiGraph<Node, Edge>) {
        for group in cycles(graph) {
            let mut edges: Vec<(Span, String)> = graph
                .edge_references()
                .filter(|edge| group.contains(&edge.source()) && group.contains(&edge.target()))
                .filter_map(|edge| {
                    let draft = drafts.iter().find(|draft| draft.index == edge.target())?;
                    let from = draft.from.as_ref()?;
                    let text = format!("`{}` needs `{}`", graph[edge.target()].name, graph[edge.source()].name);
                    Some((from.span, text))
                })
                .collect();
            edges.sort_by_key(|(span, _)| span.start);
            let mut names: Vec<_> = group.clone();
            names.sort();
            let names: Vec<_> = names.into_iter().map(|index| format!("`{}`", graph[index].name)).collect();
            let mut edges = edges.into_iter();
            if let Some((span, text)) = edges.next() {
                let message = match names.as_slice() {
                    [only] => format!("{only} needs itself"),
                    names => format!("{} need each other", names.join(", ")),
                };
                let problem = Problem::new("pipe::cycle", message, span, text);
                let problem = edges.fold(problem, |problem, (span, text)| problem.label(span, text));
                self.problems.push(problem.help("a pipeline goes one way: take one of these edges away"));
            }
        }
    }
}

/// The name of an input that has none of its own: that of the output it is connected to, or of
/// the node where no output is named.
fn called_after(reference: &str) -> String {
    reference.rsplit('.').next().unwrap_or(reference).to_owned()
}
