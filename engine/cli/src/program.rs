//! What the command line works over.

use std::path::PathBuf;

use pipe_core::Kinds;

/// The kinds that a program knows, and the pipeline that it is made of, where it is one.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) kinds: Kinds,
    pub(crate) built: Option<Built>,
}

/// A pipeline that was built in Rust, as YAML.
#[derive(Debug)]
pub(crate) struct Built {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) text: String,
    /// The folder that its relative paths start at.
    pub(crate) folder: PathBuf,
}
