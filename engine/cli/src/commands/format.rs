//! `pipe fmt`.

use std::fs;

use crate::args::FmtArgs;
use crate::project::{DEFAULT_FILE, text_of};
use crate::{Stop, diagnostic, output};

/// Lays files out alike, comments kept; with `--check` only tells which are not.
pub(crate) fn format(args: &FmtArgs) -> Result<(), Stop> {
    let default = [DEFAULT_FILE.into()];
    let files = if args.files.is_empty() { &default[..] } else { &args.files };
    let mut stop = None;
    for file in files {
        let name = file.display().to_string();
        let text = text_of(file).map_err(|error| diagnostic::unusable(&error))?;
        let formatted = match pipe_lang::format(&name, &text) {
            Ok(formatted) => formatted,
            Err(problems) => {
                diagnostic::print(&problems.0);
                stop = Some(Stop::Mistake);
                continue;
            }
        };
        if formatted == text {
            continue;
        }
        if args.check {
            output::result(&format!("{name} is not formatted\n"))?;
            stop = stop.or(Some(Stop::Failed));
        } else if let Err(error) = fs::write(file, formatted) {
            diagnostic::error(&format!("cannot write {name}: {error}"), None);
            stop = Some(Stop::Failed);
        } else {
            output::result(&format!("formatted {name}\n"))?;
        }
    }
    stop.map_or(Ok(()), Err)
}
