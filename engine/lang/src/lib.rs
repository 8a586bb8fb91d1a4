//! The language: YAML text in, a checked pipeline or all of its mistakes out.
//!
//! Knows the specifications of kinds, not what kinds do. One way through the files:
//! [`source`](Sources) -> `reader` (events to a spanned tree) -> `params` (`${...}`) -> `decode`
//! (values against shapes) -> `check` (nodes and edges) -> [`Pipeline`].

mod check;
mod decode;
mod edges;
mod params;
mod pipeline;
mod problem;
mod reader;
mod scalar;
mod source;
mod suggest;
mod tree;

pub use check::{Setting, check};
pub use pipeline::{Edge, Export, Input, Node, Pipeline};
pub use problem::{Problem, Problems};
pub use source::{SourceId, Sources, Span};
pub use suggest::closest;
