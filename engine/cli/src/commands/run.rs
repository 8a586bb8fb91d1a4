//! `pipe run`.

use pipe_core::{Context, Interrupt, Options};

use crate::args::RunArgs;
use crate::progress::progress;
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic};

pub(crate) fn run(program: &Program, args: &RunArgs) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::Given).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    let interrupt = Interrupt::default();
    let switch = interrupt.clone();
    // Without a handler Ctrl-C still stops the program, only less gently.
    let _ = ctrlc::set_handler(move || switch.set());
    let context = project.context(program, args.rehash);
    let context = Context { threads: args.jobs.map_or(context.threads, usize::from), ..context };
    let options =
        Options { targets, device: args.device, keep_going: args.keep_going, interrupt, given: project.given.clone() };
    let mut progress = progress(args.format);
    let outcome = pipe_core::run(context, &options, |event| progress.event(event)).map_err(super::mistakes)?;
    let problems: Vec<_> =
        outcome.failures.iter().map(|(index, failure)| failure.problem(&project.pipeline, *index)).collect();
    diagnostic::print(&problems);
    if let Some(error) = &outcome.unrecorded {
        diagnostic::warning(&format!("the run is not recorded: {error}"), error.help());
    }
    match (outcome.ok, outcome.interrupted) {
        (true, _) => Ok(()),
        (false, true) => Err(Stop::Interrupted),
        (false, false) => Err(Stop::Failed),
    }
}
