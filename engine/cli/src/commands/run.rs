//! `pipe run`.

use std::thread;

use pipe_core::{Interrupt, Kinds, Options};

use crate::args::RunArgs;
use crate::progress::progress;
use crate::project::{Project, Settings};
use crate::{Stop, diagnostic};

pub(crate) fn run(kinds: &Kinds, args: &RunArgs) -> Result<(), Stop> {
    let project = Project::open(kinds, &args.file, Settings::Given).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    let interrupt = Interrupt::default();
    let switch = interrupt.clone();
    // Without a handler Ctrl-C still stops the program, only less gently.
    let _ = ctrlc::set_handler(move || switch.set());
    let options = Options {
        targets,
        device: args.device,
        threads: args.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from),
        keep_going: args.keep_going,
        interrupt,
        file: project.id.clone(),
        settings: project.settings.clone(),
        here: project.here.to_string_lossy().into_owned(),
    };
    let mut progress = progress(args.format);
    let outcome = pipe_core::run(&project.pipeline, kinds, &project.store, &options, |event| progress.event(event));
    let outcome = outcome.map_err(|problems| {
        diagnostic::print(&problems.0);
        Stop::Mistake
    })?;
    let problems: Vec<_> =
        outcome.failures.iter().map(|(index, failure)| failure.problem(&project.pipeline, *index)).collect();
    diagnostic::print(&problems);
    match (outcome.ok, outcome.interrupted) {
        (true, _) => Ok(()),
        (false, true) => Err(Stop::Interrupted),
        (false, false) => Err(Stop::Failed),
    }
}
