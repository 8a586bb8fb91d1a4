//! The language: YAML text in, a checked pipeline or all of its mistakes out.
//!
//! Knows the specifications of kinds, not what kinds do. One way through the files:
//! [`source`](Sources) -> `reader` (events to a spanned tree) -> `head` (the keys at the top, which what is
//! [`Given`] overrides) -> `elaborate` (sub-pipelines put in, matrices fanned out; `params` fills in `${...}`,
//! `matrix` knows combinations, `scope` and `wired` what names lead to; `nodes`, `inputs`, `axes`, `exports` and
//! `part` take the keys of a node, `decode` holds values against shapes) -> [`Pipeline`].

mod axes;
mod check;
mod context;
mod declare;
mod decode;
mod elaborate;
mod exports;
mod format;
mod given;
mod head;
mod inputs;
mod language;
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
mod scope;
mod source;
mod suggest;
mod tree;
mod wired;

pub use check::{check, outline};
pub use context::Environment;
pub use format::format;
pub use given::Given;
pub use head::Outline;
pub use language::{Language, Library};
pub use pipeline::{Declared, Edge, Export, Input, Node, Off, Part, Pipeline, Unknown};
pub use problem::{Problem, Problems};
pub use reference::{Choose, Reference};
pub use schema::schema;
pub use source::{SourceId, Sources, Span};
pub use suggest::{closest, listed};
