//! From texts to a checked pipeline.

use std::path::Path;

use crate::context::Context;
use crate::elaborate::{Elaboration, Finished};
use crate::given::Given;
use crate::head::{self, Outline, declared};
use crate::language::Language;
use crate::pipeline::Pipeline;
use crate::problem::Problems;
use crate::source::place;
use crate::{Sources, reader};

/// Reads and checks a pipeline.
///
/// `file` is what messages call the text; relative paths in it start at `folder`.
///
/// # Errors
/// All the mistakes in the text, in the sub-pipelines that it uses, and in what is given.
pub fn check(
    file: &str,
    text: &str,
    folder: &Path,
    given: &Given,
    language: Language<'_>,
) -> Result<Pipeline, Problems> {
    let mut sources = Sources::default();
    let id = sources.add(file, text, folder);
    let mut elaboration = Elaboration::new(Context::new(&mut sources, language.environment), language, folder);
    let root = reader::read(elaboration.cx.sources, id, &mut elaboration.cx.problems);
    let place = place(&folder.join(Path::new(file).file_name().unwrap_or_default()));
    let parts = root.and_then(|root| elaboration.pipeline(root, place, given));
    let Finished { problems, graph, off, environment, parts: of_parts } = elaboration.finish();
    match parts {
        Some(parts) if problems.is_empty() => {
            let stem = || Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Pipeline {
                name: parts.name.unwrap_or_else(stem),
                folder: folder.to_owned(),
                params: parts.values,
                graph,
                sources,
                doc: parts.doc,
                declared: parts.declared,
                profiles: parts.profiles,
                environment,
                off,
                parts: of_parts,
                takes: parts.takes,
            })
        }
        _ => Err(problems.finish(&sources)),
    }
}

/// What a text says at its top; nothing where it is not YAML.
pub fn outline(text: &str) -> Outline {
    let mut sources = Sources::default();
    let id = sources.add("", text, "");
    let mut cx = Context::new(&mut sources, |_| None);
    let root = reader::read(cx.sources, id, &mut cx.problems);
    let Some(head) = root.and_then(|root| head::read(&mut cx, root)) else { return Outline::default() };
    Outline {
        doc: head.doc,
        params: head.declarations.into_iter().map(declared).collect(),
        profiles: head.profiles.into_iter().map(|(key, _)| key.text).collect(),
        nodes: head.nodes.into_iter().map(|(key, _)| key.text).collect(),
    }
}
