//! What a kind of node is, to the engine.
//!
//! A kind is its params struct. It is a [`Source`] (reads the world), a [`Whole`] (artifacts in,
//! artifacts out) or a [`Map`] (item by item: the engine caches, batches and streams).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pipe_lang::{Language, Library};
use pipe_spec::{ArtifactType, KindSpec, Ports, ShapeError};
use pipe_store::{Digest, Store};
use pipe_world::World;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Artifact, Checks, Failure, Inputs, Job, Load, Model, Records};

/// What all kinds say of themselves. The struct's doc comment documents the kind, its fields' doc
/// comments the params.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name written after `kind:`.
    const NAME: &'static str;
    /// Raised whenever the same inputs give another result.
    const VERSION: u32;
    /// The types of what it takes: `()`, `Records`, `(Model, Features)`, `Many<Metrics>`, or [`More`].
    ///
    /// [`More`]: pipe_spec::More
    type Inputs: Ports;
    /// The names of its inputs.
    const INPUTS: &'static [&'static str] = &[];
    /// The types of what it gives, the main output first.
    type Outputs: Ports;
    /// The names of its outputs.
    const OUTPUTS: &'static [&'static str];
    /// The numeric mode it computes in, part of its keys; `None` where it computes nothing.
    const NUMERIC: Option<&'static str> = None;
    /// Params that decide which items there are, but never what an item is.
    const NOT_OF_ITEMS: &'static [&'static str] = &[];
    /// Params that decide how the work is done, but never what comes of it: they are no part of keys.
    const NOT_OF_KEY: &'static [&'static str] = &[];

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
    /// Gets ready to compute: loads weights, finds the device. `before` is how the items that come in
    /// are made, so that it may warn of what does not go together.
    ///
    /// # Errors
    /// Why it could not.
    fn open(&self, before: &Meta, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure>;

    /// What a reader of the items must know of how they are made. `before` is the same of the
    /// input; nothing for records.
    ///
    /// # Errors
    /// Why it could not be told.
    fn meta(&self, before: &Meta, job: &Job<'_>) -> Result<Meta, Failure>;

    /// What to do with an item that cannot be computed.
    fn on_error(&self) -> OnError {
        OnError::Fail
    }
}

/// How the items of a collection are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    /// For a reader of the items; `null` where there is nothing to tell.
    pub json: Value,
    /// Blobs in the store that `json` tells of, by name. They stay as long as the items do.
    pub parts: BTreeMap<String, Digest>,
}

/// A map that is ready to compute.
pub trait Stage: Send + Sync {
    /// How its items are computed.
    fn pace(&self) -> Pace {
        Pace::EveryCore
    }

    /// A worker for one thread, which may use so many cores: more than one where there are fewer items.
    fn worker(&self, cores: usize) -> Box<dyn Worker>;

    /// How busy its devices are, asked a few times a second while it works.
    fn load(&self) -> Option<Load> {
        None
    }

    /// What it has to tell when all is done, kept as the node's log.
    fn log(&self) -> Option<Vec<u8>> {
        None
    }
}

/// How a stage computes its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// One by one, on every core side by side.
    EveryCore,
    /// Several at once.
    Batches {
        /// How many at once; the last batch may be smaller.
        size: usize,
        /// How many workers at most.
        workers: usize,
    },
}

/// Why an item could not be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// In words.
    pub reason: String,
    /// Whether another try may go well, with nothing changed: a time that ran out, a command that died.
    pub passing: bool,
}

impl<S: Into<String>> From<S> for ItemError {
    fn from(reason: S) -> Self {
        Self { reason: reason.into(), passing: false }
    }
}

/// Computes items on one thread.
pub trait Worker {
    /// Computes one item from each of `items`, or says why it could not.
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Result<Vec<u8>, ItemError>>;
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
    /// The specifications, each beside what binds its kind.
    specs: Vec<Arc<KindSpec>>,
    binders: Vec<Binder>,
    library: Library,
    writers: Vec<(ArtifactType, FileWriter)>,
    models: Vec<fn() -> Vec<Model>>,
    checks: Vec<Checks>,
}

/// Writes an artifact as ordinary files: as the file `to`, or into a new folder of that name.
pub type FileWriter = fn(artifact: &Artifact, store: &Store, to: &Path) -> Result<(), Failure>;

/// Ties a kind to its params.
type Binder = fn(&Value) -> Result<Bound, Failure>;

/// A kind with its params.
pub(crate) struct Bound {
    pub(crate) work: Work,
    pub(crate) params: Value,
    pub(crate) demand: Demand,
    pub(crate) numeric: Option<&'static str>,
    pub(crate) not_of_items: &'static [&'static str],
    pub(crate) not_of_key: &'static [&'static str],
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
        let spec = spec::<K>(per_item)?;
        self.specs.push(Arc::new(spec));
        self.binders.push(bind);
        Ok(self)
    }

    /// Adds a pipeline that others may use by this name: `uses: stdlib/transfer`.
    pub fn pipeline(&mut self, name: &'static str, text: &'static str) -> &mut Self {
        self.library.insert(name, text);
        self
    }

    /// What a pipeline of these kinds is checked against, with the variables of this process.
    pub fn language(&self) -> Language<'_> {
        Language { kinds: &self.specs, library: &self.library, environment: |name| std::env::var(name).ok() }
    }

    /// Adds networks that kinds know, for `pipe models`.
    pub fn models(&mut self, models: fn() -> Vec<Model>) -> &mut Self {
        self.models.push(models);
        self
    }

    /// The networks that kinds know.
    pub fn all_models(&self) -> Vec<Model> {
        self.models.iter().flat_map(|models| models()).collect()
    }

    /// Adds what kinds need of a machine, for `pipe doctor`.
    pub fn checks(&mut self, checks: Checks) -> &mut Self {
        self.checks.push(checks);
        self
    }

    /// What kinds need of a machine.
    pub fn all_checks(&self) -> &[Checks] {
        &self.checks
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
    pub fn specs(&self) -> &[Arc<KindSpec>] {
        &self.specs
    }

    /// Ties a kind to params that the language has checked.
    pub(crate) fn bind(&self, kind: &str, params: &Value) -> Result<Bound, Failure> {
        let found = self.specs.iter().position(|known| known.name == kind);
        let found = found.and_then(|at| self.binders.get(at));
        let bind = found.ok_or_else(|| Failure::new("pipe::unknown_kind", format!("there is no kind `{kind}`")))?;
        bind(params)
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.specs.iter().map(|spec| spec.name)).finish()
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
    let (not_of_items, not_of_key) = (K::NOT_OF_ITEMS, K::NOT_OF_KEY);
    Ok(Bound { demand: kind.demand(), numeric: K::NUMERIC, not_of_items, not_of_key, params, work: work(kind) })
}

/// The specification of a kind, whose inputs and outputs have a name each.
fn spec<K: Kind>(per_item: bool) -> Result<KindSpec, ShapeError> {
    const {
        assert!(K::INPUTS.len() == <K::Inputs as Ports>::TYPES.len(), "an input without a name");
        assert!(K::OUTPUTS.len() == <K::Outputs as Ports>::TYPES.len(), "an output without a name");
    }
    KindSpec::of::<K, K::Inputs, K::Outputs>(K::NAME, K::VERSION, K::INPUTS, K::OUTPUTS, per_item)
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
    fn open(&self, before: &Meta, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure>;
    fn meta(&self, before: &Meta, job: &Job<'_>) -> Result<Meta, Failure>;
    fn on_error(&self) -> OnError;
}

impl<K: Map> ErasedMap for K {
    fn open(&self, before: &Meta, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
        Map::open(self, before, job)
    }

    fn meta(&self, before: &Meta, job: &Job<'_>) -> Result<Meta, Failure> {
        Map::meta(self, before, job)
    }

    fn on_error(&self) -> OnError {
        Map::on_error(self)
    }
}
