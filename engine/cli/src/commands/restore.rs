//! `pipe restore`.

use std::path::Path;

use pipe_core::restore as write;
use serde_json::json;

use super::show::{Wanted, find};
use crate::args::{Format, RestoreArgs};
use crate::project::split_words;
use crate::{Program, Stop, diagnostic, output};

pub(crate) fn restore(program: &Program, args: &RestoreArgs) -> Result<(), Stop> {
    let (file, words) = split_words(program, &args.words);
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
    let project = wanted.project(program, &file, &args.given)?;
    let (port, digest) = find(program, &project, &args.given, &wanted)?;
    let stem = if wanted.output.is_some() { port.name } else { wanted.name() };
    match write(&project.context(program, false), port.artifact, digest, to, stem) {
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
