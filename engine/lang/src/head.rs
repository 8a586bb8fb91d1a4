//! The keys at the top of a pipeline's text.

use pipe_spec::ArtifactType;

use crate::context::Context;
use crate::declare::{Declaration, declaration};
use crate::decode::plain;
use crate::pipeline::Declared;
use crate::problem::Problem;
use crate::suggest;
use crate::tree::{Key, Tree};

/// The keys at the top of a text.
pub(crate) const KEYS: [&str; 7] = ["name", "doc", "params", "profiles", "inputs", "outputs", "nodes"];

/// The keys of a pipeline's text.
pub(crate) struct Head {
    pub(crate) name: Option<String>,
    pub(crate) doc: String,
    pub(crate) declarations: Vec<Declaration>,
    pub(crate) profiles: Vec<(Key, Vec<(Key, Tree)>)>,
    pub(crate) inputs: Vec<(Key, ArtifactType)>,
    pub(crate) outputs: Vec<(Key, Tree)>,
    pub(crate) nodes: Vec<(Key, Tree)>,
}

/// Reads the keys of a text; `None` when it has no nodes.
pub(crate) fn read(cx: &mut Context<'_>, root: Tree) -> Option<Head> {
    let whole = root.span;
    let mut parts = cx.keys(root, "the pipeline", &KEYS)?;
    let mut part = |name: &str| parts.remove(name);
    let (params, profiles, inputs) = (part("params"), part("profiles"), part("inputs"));
    let (outputs, nodes, name, doc) = (part("outputs"), part("nodes"), part("name"), part("doc"));
    let entries = |cx: &mut Context<'_>, part: Option<(Key, Tree)>, what: &str| match part {
        Some((_, tree)) => cx.entries(tree, what).unwrap_or_default(),
        None => Vec::new(),
    };
    let declarations = entries(cx, params, "`params`");
    let declarations = declarations.into_iter().filter_map(|(key, tree)| declaration(cx, key, tree)).collect();
    let profiles = entries(cx, profiles, "`profiles`");
    let profiles = profiles
        .into_iter()
        .filter_map(|(key, tree)| {
            let values = cx.entries(tree, &format!("the profile `{}`", key.text))?;
            Some((key, values))
        })
        .collect();
    let inputs = entries(cx, inputs, "`inputs`");
    let inputs = inputs.into_iter().filter_map(|(key, tree)| Some((key, artifact_type(cx, &tree)?))).collect();
    let outputs = entries(cx, outputs, "`outputs`");
    let name = name.and_then(|(_, tree)| cx.word(&tree, "`name`"));
    let doc = doc.and_then(|(_, tree)| cx.word(&tree, "`doc`")).unwrap_or_default();
    let Some((nodes_key, nodes)) = nodes else {
        cx.problems.push(
            Problem::new("pipe::missing_param", "the pipeline has no `nodes`", whole, "needed here")
                .help("add `nodes:` with at least one node; `pipe init` writes an example"),
        );
        return None;
    };
    let nodes = cx.entries(nodes, "`nodes`")?;
    if nodes.is_empty() {
        cx.problems.push(Problem::new("pipe::missing_param", "`nodes` is empty", nodes_key.span, "add a node here"));
    }
    Some(Head { name, doc, declarations, profiles, inputs, outputs, nodes })
}

/// What a text says at its top, whatever mistakes it has elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// What the pipeline is for.
    pub doc: String,
    /// The params that it declares.
    pub params: Vec<Declared>,
    /// The names of its profiles.
    pub profiles: Vec<String>,
    /// The names of its nodes, a sub-pipeline or a matrix being one.
    pub nodes: Vec<String>,
}

/// A declaration as others see it.
pub(crate) fn declared(declaration: Declaration) -> Declared {
    let Declaration { key, default, shape, help } = declaration;
    Declared { name: key.text, shape, default: default.as_ref().map(plain), help }
}

fn artifact_type(cx: &mut Context<'_>, tree: &Tree) -> Option<ArtifactType> {
    let word = cx.word(tree, "an input's type")?;
    let found = ArtifactType::ALL.into_iter().find(|artifact| artifact.to_string() == word);
    if found.is_none() {
        let names: Vec<String> = ArtifactType::ALL.iter().map(ToString::to_string).collect();
        let help = suggest::help(&word, "types of artifact", names.iter().map(String::as_str));
        let message = format!("there is no type of artifact `{word}`");
        cx.problems.push(Problem::new("pipe::wrong_type", message, tree.span, "not a type").help(help));
    }
    found
}
