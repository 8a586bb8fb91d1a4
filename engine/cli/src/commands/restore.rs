//! `pipe restore`.

use std::path::Path;

use pipe_core::restore as write;
use pipe_lang::Reference;
use serde_json::json;

use super::show::find;
use crate::args::{Format, RestoreArgs};
use crate::project::{Project, Settings, split_words};
use crate::{Program, Stop, diagnostic, output};

pub(crate) fn restore(program: &Program, args: &RestoreArgs) -> Result<(), Stop> {
    // Only a first word is the pipeline's: any other may be the file to write.
    let (first, others) = args.words.split_at(args.words.len().min(1));
    let (file, mut words) = split_words(program, first);
    words.extend_from_slice(others);
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
    let project = Project::of_file(program, &file, Vec::new(), &args.given, Settings::OrLast);
    let project = project.map_err(|error| diagnostic::unusable(&error))?;
    let (port, digest) = find(program, &project, &args.given, wanted)?;
    let reference = Reference::parse(wanted).ok();
    let of_node = || reference.as_ref().and_then(|reference| reference.name.rsplit('/').next()).unwrap_or(port.name);
    let named = reference.as_ref().and_then(|reference| reference.output.as_deref());
    let stem = named.unwrap_or_else(of_node);
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
