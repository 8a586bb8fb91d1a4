//! `pipe run`.

use std::thread;
use std::time::{Duration, Instant};

use pipe_core::{Context, Interrupt, Options};
use pipe_store::Digest;

use crate::args::{Format, RunArgs};
use crate::progress::progress;
use crate::project::{Project, Settings, text_of};
use crate::{Program, Stop, diagnostic, output};

/// The least pause between two looks at the files of a pipeline that is watched.
const PAUSE: Duration = Duration::from_millis(300);
/// The pause is at least so many times as long as a look takes, so that looking costs little.
const REST: u32 = 10;

pub(crate) fn run(program: &Program, args: &RunArgs) -> Result<(), Stop> {
    let interrupt = Interrupt::default();
    let switch = interrupt.clone();
    // Without a handler Ctrl-C still stops the program, only less gently.
    let _ = ctrlc::set_handler(move || switch.set());
    if !args.watch {
        return once(program, args, &interrupt);
    }
    loop {
        // Before the run, so that what changes meanwhile is run again.
        let seen = Seen::now(program, args);
        // What went wrong has been told; another try comes with the next change.
        let _ = once(program, args, &interrupt);
        if args.format == Format::Text {
            output::message("watching; Ctrl-C ends it\n");
        }
        loop {
            if interrupt.is_set() {
                return Err(Stop::Interrupted);
            }
            let began = Instant::now();
            if Seen::now(program, args) != seen {
                break;
            }
            thread::sleep(PAUSE.max(began.elapsed() * REST));
        }
    }
}

fn once(program: &Program, args: &RunArgs, interrupt: &Interrupt) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::Given).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    let context = project.context(program, args.rehash);
    let context = Context { threads: args.jobs.map_or(context.threads, usize::from), ..context };
    let options = Options {
        targets,
        device: args.device,
        keep_going: args.keep_going,
        interrupt: interrupt.clone(),
        given: project.given.clone(),
    };
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

/// All that decides what a run would do: the texts, and for each node what it reads of the world. Files that
/// no node reads do not matter.
#[derive(PartialEq)]
struct Seen {
    texts: Vec<Option<String>>,
    nodes: Vec<(String, Option<Digest>)>,
}

impl Seen {
    fn now(program: &Program, args: &RunArgs) -> Self {
        let (file, _) = crate::project::split_words(program, &args.file.words);
        let mut seen = Self { texts: vec![text_of(&file).ok()], nodes: Vec::new() };
        seen.texts.extend(args.file.given.params.iter().map(|file| text_of(file).ok()));
        let project = match Project::open(program, &args.file, Settings::Given) {
            Ok(project) => project,
            Err(unusable) => {
                // A mistake may go away when a file comes.
                seen.texts.push(Some(unusable.to_string()));
                return seen;
            }
        };
        seen.texts.extend(project.pipeline.sources.files().map(|file| text_of(file).ok()));
        let planned = pipe_core::Plan::new(project.context(program, args.rehash), &[]);
        if let Ok(plan) = planned {
            seen.nodes = plan.nodes.iter().map(|node| (node.name.clone(), node.own)).collect();
        }
        seen
    }
}
