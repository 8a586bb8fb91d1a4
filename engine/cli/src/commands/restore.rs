//! `pipe restore`.

use std::path::Path;

use pipe_core::{Kinds, restore as write};
use serde_json::json;

use super::show::{Wanted, find};
use crate::args::{FileArgs, Format, RestoreArgs};
use crate::project::{Project, Settings, split_words};
use crate::{Stop, diagnostic, output};

pub(crate) fn restore(kinds: &Kinds, args: &RestoreArgs) -> Result<(), Stop> {
    let (file, words) = split_words(&args.words);
    let (wanted, to) = match words.as_slice() {
        [wanted] => (wanted, None),
        [wanted, to] => (wanted, Some(Path::new(to))),
        _ => {
            diagnostic::error(
                "which artifact?",
                Some("name one: `pipe restore NODE` or `pipe restore NODE.OUTPUT TO`"),
            );
            return Err(Stop::Mistake);
        }
    };
    let wanted = Wanted::new(wanted);
    let words = vec![file.to_string_lossy().into_owned(), wanted.node.clone()];
    let file_args = FileArgs { words, set: args.set.clone() };
    let project = Project::open(kinds, &file_args, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let (port, digest) = find(kinds, &project, &file_args, &wanted)?;
    let stem = if wanted.output.is_some() { port.name } else { &wanted.node };
    match write(&project.context(kinds, false), port.artifact, digest, to, stem) {
        Ok(place) if args.format == Format::Json => {
            output::result(&format!("{:#}\n", json!({ "path": place, "digest": digest })))
        }
        Ok(place) => output::result(&format!("wrote {}\n", place.display())),
        Err(failure) => {
            diagnostic::error(failure.message(), failure.hint());
            Err(Stop::Failed)
        }
    }
}
