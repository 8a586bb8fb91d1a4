//! What a kind of node is, to the engine.
//!
//! A kind is its params struct. It is a [`Source`] (reads the world), a [`Whole`] (artifacts in,
//! artifacts out) or a [`Map`] (item by item: the engine caches, batches and streams).

use std::path::Path;
use std::sync::Arc;

use pipe_spec::{ArtifactType, KindSpec, Port, ShapeError};
use pipe_store::Store;
use pipe_world::World;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Artifact, Failure, Inputs, Job, Records};

/// What all kinds say of themselves. The struct's doc comment documents the kind, its fields' doc
/// comments the params.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name written after `kind:`.
    const NAME: &'static str;
    /// Raised whenever the same inputs give another result.
    const VERSION: u32;
    /// What it takes.
    const INPUTS: &'static [Port] = &[];
    /// Whether it takes further inputs of any type, each under a name of the author's.
    const MORE_INPUTS: bool = false;
    /// What it gives, the main output first.
    const OUTPUTS: &'static [Port];
    /// The numeric mode it computes in, part of its keys; `None` where it computes nothing.
    const NUMERIC: Option<&'static str> = None;
    /// Params that decide which items there are, but never what an item is.
    const NOT_OF_ITEMS: &'static [&'static str] = &[];

    /// How much of the machine it wants.
    fn demand(&self) -> Demand {
        Demand::Core
    }

    /// Checks params against each other.
    ///
    /// # Errors
    /// What does not fit, with [`Failure::param`].
    fn validate(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A kind that reads files of the world that no param names one by one.
pub trait Source: Kind {
    /// Reads the world, through `world` alone: it remembers what was looked at, so that this is
    /// called again only when something there has changed.
    ///
    /// # Errors
    /// What is wrong with the files.
    fn read(&self, world: &World) -> Result<Records, Failure>;
}

/// A kind that turns whole artifacts into whole artifacts.
pub trait Whole: Kind {
    /// Computes the outputs, one a port of [`Kind::OUTPUTS`].
    ///
    /// # Errors
    /// Why it could not.
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure>;
}

/// A kind that computes one item from one item. It has one input and one output.
pub trait Map: Kind {
    /// Gets ready to compute: loads weights, finds the device.
    ///
    /// # Errors
    /// Why it could not.
    fn open(&self, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure>;

    /// What a reader of the items must know of how they are made. `before` is the same of the
    /// input; `null` for records.
    ///
    /// # Errors
    /// Why it could not be told.
    fn meta(&self, before: &Value, job: &Job<'_>) -> Result<Value, Failure>;

    /// What to do with an item that cannot be computed.
    fn on_error(&self) -> OnError {
        OnError::Fail
    }
}

/// A map that is ready to compute.
pub trait Stage: Send + Sync {
    /// How many items it wants at once. With 1, items are computed on every core side by side.
    fn batch_size(&self) -> usize {
        1
    }

    /// A worker for one thread.
    fn worker(&self) -> Box<dyn Worker>;
}

/// Computes items on one thread.
pub trait Worker {
    /// Computes one item from each of `inputs`, or says why it could not.
    fn map(&mut self, inputs: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, String>>;
}

/// How much of the machine a node wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// One core.
    Core,
    /// Every core that is free.
    Cores,
    /// The compute device, and every core that is free.
    Device,
}

/// What to do with an item that cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Fail, naming every broken item.
    #[default]
    Fail,
    /// Leave the item out and say so.
    Skip,
}

/// The kinds that a program knows.
#[derive(Clone, Default)]
pub struct Kinds {
    kinds: Vec<Registered>,
    writers: Vec<(ArtifactType, FileWriter)>,
}

/// Writes an artifact as ordinary files: as the file `to`, or into a new folder of that name.
pub type FileWriter = fn(artifact: &Artifact, store: &Store, to: &Path) -> Result<(), Failure>;

#[derive(Clone)]
struct Registered {
    spec: Arc<KindSpec>,
    bind: fn(&Value) -> Result<Bound, Failure>,
}

/// A kind with its params.
pub(crate) struct Bound {
    pub(crate) work: Work,
    pub(crate) params: Value,
    pub(crate) demand: Demand,
    pub(crate) numeric: Option<&'static str>,
    pub(crate) not_of_items: &'static [&'static str],
}

pub(crate) enum Work {
    Source(Box<dyn ErasedSource>),
    Whole(Box<dyn ErasedWhole>),
    Map(Arc<dyn ErasedMap>),
}

impl Kinds {
    /// Adds a kind that reads the world.
    ///
    /// # Errors
    /// When its params struct has a type that the language does not know.
    pub fn source<K: Source>(&mut self) -> Result<&mut Self, ShapeError> {
        self.add::<K>(false, |params| bind::<K>(params, |kind| Work::Source(Box::new(kind))))
    }

    /// Adds a kind that works artifact by artifact.
    ///
    /// # Errors
    /// As [`Kinds::source`].
    pub fn whole<K: Whole>(&mut self) -> Result<&mut Self, ShapeError> {
        self.add::<K>(false, |params| bind::<K>(params, |kind| Work::Whole(Box::new(kind))))
    }

    /// Adds a kind that works item by item.
    ///
    /// # Errors
    /// As [`Kinds::source`].
    pub fn map<K: Map>(&mut self) -> Result<&mut Self, ShapeError> {
        self.add::<K>(true, |params| bind::<K>(params, |kind| Work::Map(Arc::new(kind))))
    }

    fn add<K: Kind>(
        &mut self,
        per_item: bool,
        bind: fn(&Value) -> Result<Bound, Failure>,
    ) -> Result<&mut Self, ShapeError> {
        let spec = KindSpec::of::<K>(K::NAME, K::VERSION, (K::INPUTS, K::MORE_INPUTS), K::OUTPUTS, per_item)?;
        self.kinds.push(Registered { spec: Arc::new(spec), bind });
        Ok(self)
    }

    /// Says how artifacts of a type are written as ordinary files, where the engine cannot know.
    pub fn writer(&mut self, artifact: ArtifactType, writer: FileWriter) -> &mut Self {
        self.writers.push((artifact, writer));
        self
    }

    pub(crate) fn writer_of(&self, artifact: ArtifactType) -> Option<FileWriter> {
        self.writers.iter().find(|(of, _)| *of == artifact).map(|(_, writer)| *writer)
    }

    /// The specifications, in the order in which the kinds were added.
    pub fn specs(&self) -> Vec<Arc<KindSpec>> {
        self.kinds.iter().map(|kind| kind.spec.clone()).collect()
    }

    /// Ties a kind to params that the language has checked.
    pub(crate) fn bind(&self, kind: &str, params: &Value) -> Result<Bound, Failure> {
        let found = self.kinds.iter().find(|known| known.spec.name == kind);
        let found = found.ok_or_else(|| Failure::new("pipe::unknown_kind", format!("there is no kind `{kind}`")))?;
        (found.bind)(params)
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kinds.iter().map(|kind| kind.spec.name)).finish()
    }
}

fn bind<K: Kind>(params: &Value, work: fn(K) -> Work) -> Result<Bound, Failure> {
    let kind: K = serde_path_to_error::deserialize(params).map_err(|error| {
        let path = error.path().to_string();
        Failure::new("pipe::invalid_param", format!("`{path}`: {}", error.inner())).param(path)
    })?;
    kind.validate()?;
    // Written back, so that every way of writing the same params gives the same key.
    let params = serde_json::to_value(&kind).map_err(|error| Failure::new("pipe::invalid_param", error.to_string()))?;
    Ok(Bound { demand: kind.demand(), numeric: K::NUMERIC, not_of_items: K::NOT_OF_ITEMS, params, work: work(kind) })
}

pub(crate) trait ErasedSource: Send + Sync {
    fn read(&self, world: &World) -> Result<Records, Failure>;
}

impl<K: Source> ErasedSource for K {
    fn read(&self, world: &World) -> Result<Records, Failure> {
        Source::read(self, world)
    }
}

pub(crate) trait ErasedWhole: Send + Sync {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure>;
}

impl<K: Whole> ErasedWhole for K {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        Whole::run(self, inputs, job)
    }
}

pub(crate) trait ErasedMap: Send + Sync {
    fn open(&self, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure>;
    fn meta(&self, before: &Value, job: &Job<'_>) -> Result<Value, Failure>;
    fn on_error(&self) -> OnError;
}

impl<K: Map> ErasedMap for K {
    fn open(&self, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        Map::open(self, job)
    }

    fn meta(&self, before: &Value, job: &Job<'_>) -> Result<Value, Failure> {
        Map::meta(self, before, job)
    }

    fn on_error(&self) -> OnError {
        Map::on_error(self)
    }
}
