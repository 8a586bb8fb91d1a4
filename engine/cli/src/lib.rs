//! The command line, over any set of kinds.
//!
//! Results go to stdout, progress and diagnostics to stderr.

mod args;
mod commands;
mod completion;
mod diagnostic;
mod graph;
mod help;
mod markdown;
mod number;
mod output;
mod planned;
mod program;
mod progress;
mod project;
mod starter;
mod table;

use std::process::ExitCode;

use clap::Parser;
pub use markdown::kinds_as_markdown;
use pipe_builder::Builder;
use pipe_core::Kinds;

use crate::args::{Args, Command, StoreCommand};
use crate::program::{Built, Program};

/// How the program ends when it did not do what was asked for.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// A run failed, or the data is wrong.
    Failed,
    /// A mistake in the file or on the command line.
    Mistake,
    /// Interrupted by a signal.
    Interrupted,
}

impl From<Stop> for ExitCode {
    fn from(stop: Stop) -> Self {
        Self::from(match stop {
            Stop::Failed => 1,
            Stop::Mistake => 2,
            Stop::Interrupted => 130,
        })
    }
}

/// Reads the command line, does what it says, and tells how that went.
pub fn main(kinds: Kinds) -> ExitCode {
    run(&Program { kinds, built: None })
}

/// The command line over one pipeline that was built in Rust: no file is named.
pub fn main_of(kinds: Kinds, pipeline: &Builder) -> ExitCode {
    let built =
        Built { name: pipeline.name().to_owned(), text: pipeline.to_yaml(&kinds), folder: pipeline.base().to_owned() };
    run(&Program { kinds, built: Some(built) })
}

fn run(program: &Program) -> ExitCode {
    completion::answer(&program.kinds);
    let words: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if let Some(help) = help::of_run(program, &words) {
        return output::result(&help).map_or_else(ExitCode::from, |()| ExitCode::SUCCESS);
    }
    let args = Args::parse();
    let result = match args.command {
        Command::Run(args) => commands::run::run(program, &args),
        Command::Plan(args) => commands::plan::plan(program, &args),
        Command::Why(args) => commands::why::why(program, &args),
        Command::Show(args) => commands::show::show(program, &args),
        Command::Check(args) => commands::check::check(program, &args),
        Command::Nodes(args) => commands::nodes::nodes(program, &args),
        Command::Models(args) => commands::models::models(program, &args),
        Command::Graph(args) => commands::graph::graph(program, &args),
        Command::Explain(args) => commands::explain::explain(&args),
        Command::Expand(args) => commands::expand::expand(program, &args),
        Command::Fmt(args) => commands::format::format(&args),
        Command::Schema => commands::schema::schema(program),
        Command::Completions(args) => commands::shells::completions(&args),
        Command::Man(args) => commands::shells::man(&args),
        Command::Doctor(args) => commands::doctor::doctor(program, &args),
        Command::Init(args) => commands::init::init(&args),
        Command::Status(args) => commands::status::status(program, &args),
        Command::Log(args) => commands::log::log(program, &args),
        Command::Diff(args) => commands::diff::diff(program, &args),
        Command::Restore(args) => commands::restore::restore(program, &args),
        Command::Clean(args) => commands::clean::clean(program, &args),
        Command::Gc(args) => commands::gc::gc(&args),
        Command::Pin(args) => commands::pin::pin(program, &args),
        Command::Store(StoreCommand::Info(args)) => commands::store::info(&args),
        Command::Store(StoreCommand::Verify(args)) => commands::store::verify(&args),
    };
    result.map_or_else(ExitCode::from, |()| ExitCode::SUCCESS)
}
