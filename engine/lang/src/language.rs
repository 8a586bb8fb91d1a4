//! What the language knows of the program around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pipe_spec::KindSpec;

use crate::context::Environment;

/// Pipelines that come with the program, by the name that `uses:` calls them.
pub type Library = BTreeMap<&'static str, &'static str>;

/// What a pipeline is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Language<'a> {
    /// The kinds that there are.
    pub kinds: &'a [Arc<KindSpec>],
    /// The sub-pipelines that there are.
    pub library: &'a Library,
    /// How `${env:NAME}` is looked up.
    pub environment: Environment,
}
