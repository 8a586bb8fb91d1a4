//! The engine: kinds and artifacts, the plan, the run.
//!
//! Knows nothing of photos or of Burn. A checked pipeline becomes a [`Plan`] (what is cached,
//! what runs and why); [`run`] carries it out and tells what happens as [`Event`]s. Nothing here
//! prints.

mod artifact;
mod artifacts;
mod check;
mod clean;
mod context;
mod device;
mod event;
mod explain;
mod export;
mod failure;
mod fetched;
mod graph;
mod history;
mod inputs;
mod job;
mod kind;
mod load;
mod manifest;
mod model;
mod options;
mod plan;
mod run;
mod scheduler;
mod stream;
mod sweep;
mod table;
mod work;

pub use artifact::{Artifact, Collection, Document, Files, Record, Records, Skipped, Split, StoredItems};
pub use check::{Check, CheckState, Checks};
pub use clean::clean;
pub use context::Context;
pub use device::{Device, DeviceError};
pub use event::{Event, NodeReport, NodeStatus};
pub use explain::{Explanation, InputExplanation, ItemExplanation, RowChanges, explain, explain_item};
pub use export::restore;
pub use failure::{Failure, ItemFailure};
pub use history::{Last, LastNode, NodeResult, Run, last, lost_results, pin, pins, run_nodes, runs};
pub use inputs::Inputs;
pub use job::{Interrupt, Job};
pub use kind::{Demand, FileWriter, ItemError, Kind, Kinds, Map, Meta, OnError, Pace, Source, Stage, Whole, Worker};
pub use load::{Load, Looks};
pub use manifest::{Change, Manifest};
pub use model::{Model, ModelLayer, ModelNode, ModelWeights};
pub use options::Options;
pub use plan::{Plan, PlannedNode, Status, check_params};
pub use run::{Outcome, run};
pub use sweep::{Keep, sweep};
pub use table::{Table, table};
