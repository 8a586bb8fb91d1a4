//! `pipe` as a library: pipelines built in Rust, and kinds of nodes of one's own.
//!
//! `pipelines/containers.rs` is a pipeline built in Rust; `pipelines/own_kind.rs` a program with a
//! kind of its own.

use std::process::ExitCode;

pub use pipe_builder::{Any, Builder, Handle};
pub use pipe_cli::{main, main_of};
pub use pipe_core::{
    Artifact, Collection, Demand, Document, Event, Failure, Files, Inputs, ItemError, Job, Kind, Kinds, Map, Meta,
    OnError, Pace, Record, Records, Skipped, Source, Split, Stage, Whole, Worker,
};
pub use pipe_lang::{Pipeline, Problem, Problems};
pub use pipe_spec::{FilePath, FolderPath, Many, More, TreePath, types};
pub use pipe_stdlib as stdlib;
pub use pipe_world::World;

/// The standard library's kinds, to add others to.
///
/// # Panics
/// Never: that every kind has a specification is tested.
#[allow(clippy::expect_used, reason = "a mistake in the standard library, found by its first test")]
pub fn kinds() -> Kinds {
    stdlib::kinds().expect("every kind has a specification")
}

/// The command line over a pipeline that was built in Rust from the standard library's kinds: `run`,
/// `plan`, `why`, `show` and all the others.
pub fn run(pipeline: &Builder) -> ExitCode {
    main_of(kinds(), pipeline)
}
