//! `export:`, outputs that are left as ordinary files.

use crate::elaborate::Elaboration;
use crate::params::At;
use crate::pipeline::Export;
use crate::problem::Problem;
use crate::scope::Scope;
use crate::suggest;
use crate::tree::{Key, Node, Tree};
use crate::wired::{Target, Wired};

impl Elaboration<'_> {
    /// Which outputs go where: a path for the main one, or a mapping from outputs to paths.
    fn exported(&mut self, tree: &Tree, what: &str, outputs: &[&str]) -> Vec<(usize, Tree)> {
        let written: Vec<(Option<Key>, Tree)> = match &tree.node {
            Node::Mistake => return Vec::new(),
            Node::Map(entries) => entries.iter().cloned().map(|(key, tree)| (Some(key), tree)).collect(),
            _ => vec![(None, tree.clone())],
        };
        let mut exported = Vec::new();
        for (key, tree) in written {
            let output = match &key {
                None => (!outputs.is_empty()).then_some(0),
                Some(key) => outputs.iter().position(|name| *name == key.text),
            };
            match (output, key) {
                (Some(output), _) => exported.push((output, tree)),
                (None, key) => {
                    let key = key.unwrap_or(Key { text: String::new(), span: tree.span });
                    let help = suggest::help(&key.text, "outputs", outputs.iter().copied());
                    let message = format!("`{what}` has no output `{}`", key.text);
                    self.cx.problems.push(Problem::new("pipe::unknown_key", message, key.span, "not known").help(help));
                }
            }
        }
        exported
    }

    /// The exports of a node of one kind, under one combination.
    pub(crate) fn exports(
        &mut self,
        scope: &mut Scope,
        tree: &Tree,
        kind: &pipe_spec::KindSpec,
        at: At<'_>,
    ) -> Vec<Export> {
        let names: Vec<&str> = kind.outputs.iter().map(|port| port.name).collect();
        let tree = scope.params.fill(&mut self.cx, tree, at);
        let exported = self.exported(&tree, kind.name, &names);
        exported.into_iter().filter_map(|(output, tree)| self.place(&tree, kind.outputs[output])).collect()
    }

    /// Leaves outputs of a sub-pipeline as files: the nodes that give them do.
    pub(crate) fn export_part(&mut self, scope: &mut Scope, tree: &Tree, what: &str, outputs: &[(String, Wired)]) {
        let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        for (output, tree) in self.exported(tree, what, &names) {
            let (name, wired) = &outputs[output];
            if wired.is_gathered() {
                let message = format!("`{name}` is several artifacts, which have no one place");
                let problem = Problem::new("pipe::type_mismatch", message, tree.span, "gathered inside");
                self.cx.problems.push(problem.help("export them inside the sub-pipeline, each to a place of its own"));
                continue;
            }
            let axes = self.axes_at(scope, wired.0.axes());
            for (combo, targets) in wired.0.rows() {
                let filled = scope.params.fill(&mut self.cx, &tree, At { combo, axes: Some(&axes), unsure: false });
                for (_, target) in targets {
                    if let Target::Draft(draft, port) = target
                        && let Some(export) = self.place(&filled, *port)
                    {
                        self.drafts[*draft].node.exports.push(export);
                    }
                }
            }
        }
    }

    fn place(&mut self, tree: &Tree, output: pipe_spec::Port) -> Option<Export> {
        let path = self.cx.word(tree, "`export`")?;
        let path = self.cx.sources.base(tree.span.source).join(path);
        Some(Export { output, path, span: tree.used_at.unwrap_or(tree.span) })
    }
}
