//! The engine: kinds and artifacts, the plan, the run.
//!
//! Knows nothing of photos or of Burn. A checked pipeline becomes a [`Plan`] (what is cached,
//! what runs and why); [`run`] carries it out and tells what happens as [`Event`]s. Nothing here
//! prints.

mod artifact;
mod device;
mod event;
mod failure;
mod history;
mod inputs;
mod job;
mod kind;
mod manifest;
mod plan;
mod run;
mod stream;
mod work;

pub use artifact::{Artifact, Collection, Document, Record, Records, Skipped, Split};
pub use device::{Device, DeviceError};
pub use event::{Event, NodeReport, NodeStatus};
pub use failure::{Failure, ItemFailure};
pub use history::{Run, RunNode, last_run, record_run};
pub use inputs::Inputs;
pub use job::{Interrupt, Job};
pub use kind::{Demand, Kind, Kinds, Map, OnError, Reading, Source, Stage, Whole, Worker};
pub use manifest::{Change, Manifest};
pub use plan::{Plan, PlannedNode, Status, check_params};
pub use run::{Options, Outcome, run};
