//! `pipe pin`.

use pipe_core::pin as keep;

use super::runs;
use crate::args::PinArgs;
use crate::project::{Place, split_words};
use crate::{Program, Stop, diagnostic, output};

pub(crate) fn pin(program: &Program, args: &PinArgs) -> Result<(), Stop> {
    let (file, words) = split_words(program, &args.words);
    let place = Place::of(&file).map_err(|error| diagnostic::unusable(&error))?;
    if words.is_empty() {
        diagnostic::error("which run?", Some("name one: `pipe pin last`; `pipe log` lists them"));
        return Err(Stop::Mistake);
    }
    let all = runs::of_file(&place.store, Some(&place.id));
    for word in &words {
        let run = runs::wanted(&all, word)?;
        keep(&place.store, run, !args.remove).map_err(|error| diagnostic::store(&error))?;
        let done = if args.remove { "no longer pinned" } else { "pinned" };
        output::result(&format!("{} is {done}\n", run.id))?;
    }
    Ok(())
}
