//! What a kind of node promises: its name, its params, what it takes and what it gives.
//!
//! Knows the words of the language and nothing of files, stores or photos. A kind's params are
//! one plain Rust struct; [`Shape`] is read off its JSON Schema once and serves the YAML decoder,
//! the defaults and the documentation.

mod artifact;
mod kind;
mod path;
mod ports;
mod remote;
mod shape;

pub use artifact::ArtifactType;
pub use kind::KindSpec;
pub use path::{FilePath, FolderPath, TreePath};
pub use ports::{Many, More, Port, Ports, Typed, types};
pub use remote::{RemoteError, RemoteFile};
pub use shape::{Choice, Field, Shape, ShapeError};
