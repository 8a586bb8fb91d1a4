//! Pipelines built in Rust, from the kinds' own param structs.
//!
//! A handle carries the type of the artifact that it leads to, so that the compiler refuses a wrong
//! edge. Loops make sweeps and functions make sub-pipelines. What is built is written as YAML and
//! checked as such: there is one language, one set of checks, and equal pipelines have equal keys
//! whichever way they were written.
//!
//! ```
//! # use pipe_builder::{Builder, Handle};
//! # use pipe_core::{Artifact, Failure, Inputs, Job, Kind, Kinds, Records, Whole};
//! # use pipe_spec::types;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize, JsonSchema)]
//! # struct Photos {}
//! # impl Kind for Photos {
//! #     const NAME: &'static str = "photos";
//! #     const VERSION: u32 = 1;
//! #     type Inputs = ();
//! #     type Outputs = types::Records;
//! #     const OUTPUTS: &'static [&'static str] = &["records"];
//! # }
//! # impl Whole for Photos {
//! #     fn run(&self, _: &Inputs<'_>, _: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
//! #         Ok(vec![Artifact::Records(Records::default())])
//! #     }
//! # }
//! # #[derive(Serialize, Deserialize, JsonSchema)]
//! # struct Resize { size: u32 }
//! # impl Kind for Resize {
//! #     const NAME: &'static str = "resize";
//! #     const VERSION: u32 = 1;
//! #     type Inputs = types::Records;
//! #     const INPUTS: &'static [&'static str] = &["records"];
//! #     type Outputs = types::Images;
//! #     const OUTPUTS: &'static [&'static str] = &["images"];
//! # }
//! # impl Whole for Resize {
//! #     fn run(&self, _: &Inputs<'_>, _: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
//! #         Ok(vec![Artifact::Records(Records::default())])
//! #     }
//! # }
//! let mut pipeline = Builder::new("thumbnails");
//! let photos = pipeline.add("photos", Photos {}, ());
//! let small: Handle<types::Images> = pipeline.add("small", Resize { size: 32 }, photos);
//! pipeline.export(small, "thumbnails");
//! # let mut kinds = Kinds::default();
//! # kinds.whole::<Photos>().unwrap().whole::<Resize>().unwrap();
//! # assert_eq!(pipeline.check(&kinds).unwrap().graph.edge_count(), 1);
//! ```
//!
//! An image cannot be resized again, for `resize` takes records: the same with `small` in place of
//! `photos` does not compile.
//!
//! ```compile_fail,E0308
//! # use pipe_builder::{Builder, Handle};
//! # use pipe_core::{Artifact, Failure, Inputs, Job, Kind, Kinds, Records, Whole};
//! # use pipe_spec::types;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize, JsonSchema)]
//! # struct Photos {}
//! # impl Kind for Photos {
//! #     const NAME: &'static str = "photos";
//! #     const VERSION: u32 = 1;
//! #     type Inputs = ();
//! #     type Outputs = types::Records;
//! #     const OUTPUTS: &'static [&'static str] = &["records"];
//! # }
//! # #[derive(Serialize, Deserialize, JsonSchema)]
//! # struct Resize { size: u32 }
//! # impl Kind for Resize {
//! #     const NAME: &'static str = "resize";
//! #     const VERSION: u32 = 1;
//! #     type Inputs = types::Records;
//! #     const INPUTS: &'static [&'static str] = &["records"];
//! #     type Outputs = types::Images;
//! #     const OUTPUTS: &'static [&'static str] = &["images"];
//! # }
//! let mut pipeline = Builder::new("thumbnails");
//! let photos = pipeline.add("photos", Photos {}, ());
//! let small: Handle<types::Images> = pipeline.add("small", Resize { size: 32 }, photos);
//! let smaller = pipeline.add("smaller", Resize { size: 16 }, small);
//! ```

mod handle;
mod write;

use std::path::PathBuf;

pub use handle::{Any, Gives, Handle, Takes};
use pipe_core::{Kind, Kinds};
use pipe_lang::{Given, Pipeline, Problems, check};
use serde_json::Value;

/// A pipeline that is being built.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    folder: PathBuf,
    nodes: Vec<Node>,
}

/// A node as it will be written.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    kind: String,
    with: Value,
    /// Each input, with its label where that takes many, and what it is connected to.
    from: Vec<(String, Option<String>, Any)>,
    keep: bool,
    /// Outputs and where they go.
    exports: Vec<(String, PathBuf)>,
    /// Where in the program it was added.
    place: Option<String>,
}

impl Builder {
    /// A pipeline without nodes. Relative paths in it start at the current folder.
    pub fn new(name: impl Into<String>) -> Self {
        let folder = std::env::current_dir().unwrap_or_default();
        Self { name: name.into(), folder, nodes: Vec::new() }
    }

    /// Has relative paths start at a folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// The folder that relative paths start at.
    pub fn base(&self) -> &std::path::Path {
        &self.folder
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a node: its name, its kind with params, and what it reads. Gives a handle to each of its
    /// outputs, for this pipeline alone.
    #[track_caller]
    pub fn add<K: Kind<Inputs: Takes, Outputs: Gives>>(
        &mut self,
        name: impl Into<String>,
        kind: K,
        from: <K::Inputs as Takes>::Handles,
    ) -> <K::Outputs as Gives>::Handles {
        let node = self.nodes.len();
        let place = std::panic::Location::caller();
        self.nodes.push(Node {
            name: name.into(),
            kind: K::NAME.to_owned(),
            // Params that have no JSON form are refused by the checks: this is no mapping.
            with: serde_json::to_value(&kind).unwrap_or_else(|error| error.to_string().into()),
            from: <K::Inputs as Takes>::sources(from, K::INPUTS),
            keep: false,
            exports: Vec::new(),
            place: Some(format!("{}:{}", place.file(), place.line())),
        });
        <K::Outputs as Gives>::handles(node, K::OUTPUTS)
    }

    /// Has a node's items stored even where nothing needs them stored.
    pub fn keep<T>(&mut self, handle: Handle<T>) {
        self.nodes[handle.node].keep = true;
    }

    /// Leaves an output as ordinary files at a path after every run.
    pub fn export<T>(&mut self, handle: Handle<T>, path: impl Into<PathBuf>) {
        self.nodes[handle.node].exports.push((handle.output.to_owned(), path.into()));
    }

    /// A checked pipeline as a builder has it: what used sub-pipelines, matrices and params is plain
    /// nodes.
    pub fn of(pipeline: &Pipeline) -> Self {
        write::from_pipeline(pipeline)
    }

    /// As YAML. Params that are as the kinds have them by default are left away.
    pub fn to_yaml(&self, kinds: &Kinds) -> String {
        write::to_yaml(self, kinds)
    }

    /// The checked pipeline.
    ///
    /// # Errors
    /// All that is wrong with it, placed in its YAML.
    pub fn check(&self, kinds: &Kinds) -> Result<Pipeline, Problems> {
        check(&self.name, &self.to_yaml(kinds), &self.folder, &Given::default(), kinds.language())
    }
}
