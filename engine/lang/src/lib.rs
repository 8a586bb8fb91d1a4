//! The language: YAML text in, a checked pipeline or all of its mistakes out.
//!
//! Knows the specifications of kinds, not what kinds do. One way through the files:
//! [`source`](Sources) -> `reader` (events to a spanned tree) -> `elaborate` (sub-pipelines put in,
//! matrices fanned out; `params` fills in `${...}`, `matrix` knows combinations, `nodes`, `inputs`,
//! `axes` and `part` take the keys of a node, `decode` holds values against shapes) -> [`Pipeline`].

mod axes;
mod check;
mod context;
mod declare;
mod decode;
mod elaborate;
mod exports;
mod format;
mod given;
mod inputs;
mod matrix;
mod nodes;
mod order;
mod params;
mod part;
mod pipeline;
mod problem;
mod reader;
mod reference;
mod scalar;
mod schema;
mod source;
mod suggest;
mod tree;

pub use check::{Given, Language, Library, Outline, check, outline};
pub use context::Environment;
pub use format::format;
pub use pipeline::{Declared, Edge, Export, Input, Node, Off, Part, Pipeline, Unknown};
pub use problem::{Problem, Problems};
pub use reference::{Choose, Reference};
pub use schema::schema;
pub use source::{SourceId, Sources, Span};
pub use suggest::{closest, listed};
