//! How a pipeline is run.

use petgraph::graph::NodeIndex;
use pipe_lang::Given;

use crate::{Device, Interrupt};

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only these nodes and what they need; all when empty.
    pub targets: Vec<NodeIndex>,
    /// The device to compute on.
    pub device: Device,
    /// Whether nodes that do not need a failed one still run.
    pub keep_going: bool,
    /// Stops the run when set.
    pub interrupt: Interrupt,
    /// What was given to the pipeline from outside, for the record.
    pub given: Given,
}
