//! `process.map`, `process.features` and `process.images`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pipe_core::{Demand, Failure, Job, Kind, Map, Meta, OnError, Pace, Stage, Worker};
use pipe_spec::{TreePath, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

use super::command::{validate, working_folder};
use super::worker;
use super::workshop::{Answer, Gives, Workshop};

/// The module that a Python function is served with.
const PYTHON: &str = include_str!("../../python/pipe_map.py");

/// A command that is given items.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The command, as it would be typed. It is started once for each worker, reads JSON lines and
    /// answers with JSON lines.
    pub command: String,
    /// Scripts and programs that it runs; items are computed again when their content changes.
    #[serde(default)]
    pub code: Vec<TreePath>,
    /// Variables of the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder that it runs in, as seen from that of the file that the node is written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Items that a worker is given at once.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1, max = 100_000))]
    pub batch_size: u32,
    /// How many workers there are at most; one a core when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u32>,
    /// Seconds that a batch may take before its worker is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub timeout: Option<f64>,
    /// How often an item that failed, or that its worker died over, is tried again, alone.
    #[serde(default = "default_retries")]
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// What to do with an item that cannot be computed.
    #[serde(default)]
    pub on_error: OnError,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            command: String::new(),
            code: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            batch_size: default_batch(),
            workers: None,
            timeout: None,
            retries: default_retries(),
            on_error: OnError::default(),
        }
    }
}

fn default_batch() -> u32 {
    16
}

fn default_retries() -> u32 {
    1
}

/// Has a command compute a JSON value for each photo.
///
/// The command is started once for each worker and given lines such as
/// `{"id": 0, "path": "/.../0.jpg"}`, and an empty line behind each batch. For each item it answers with
/// a line, in any order: `{"id": 0, "value": ...}`, or `{"id": 0, "error": "why"}`. It is not told what
/// the photo is called: what it answers is kept for the photo's bytes, under whatever name. What it writes to stderr is the node's log. A Python function is served by the module `pipe_map`,
/// which is at hand: `from pipe_map import serve; serve(function)`. Items are cached one by one; of a
/// command that dies only the batch in flight is lost, and tried again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProcessMap(pub Process);

/// Has a command compute a feature vector for each photo.
///
/// As `process.map`, with answers `{"id": 0, "features": [0.1, 0.2, ...]}`: as many numbers for each
/// photo.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProcessFeatures(pub Process);

/// Has a command compute an image for each photo.
///
/// As `process.map`, with answers `{"id": 0, "image": "/.../0.png"}`: the path of an image file, which
/// is taken away when it lies in the folder `$out`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProcessImages(pub Process);

macro_rules! process_kind {
    ($kind:ident, $name:expr, $artifact:ty, $output:expr, $gives:expr) => {
        impl Kind for $kind {
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            type Inputs = types::Records;
            const INPUTS: &'static [&'static str] = &["records"];
            type Outputs = $artifact;
            const OUTPUTS: &'static [&'static str] = &[$output];
            const NOT_OF_ITEMS: &'static [&'static str] = &["on_error"];
            const NOT_OF_KEY: &'static [&'static str] = &["batch_size", "workers", "timeout", "retries"];

            fn demand(&self) -> Demand {
                Demand::Cores
            }

            fn validate(&self) -> Result<(), Failure> {
                validate(&self.0.command, &self.0.env, self.0.timeout)
            }
        }

        impl Map for $kind {
            fn open(&self, _: &Meta, job: &Job<'_>) -> Result<Box<dyn Stage>, Failure> {
                Ok(Box::new(Shop::open(&self.0, $name, $gives, job)?))
            }

            fn meta(&self, before: &Meta, _: &Job<'_>) -> Result<Meta, Failure> {
                let mut meta = before.clone();
                meta.json["process"] = json!({ "kind": $name, "command": self.0.command });
                Ok(meta)
            }

            fn on_error(&self) -> OnError {
                self.0.on_error
            }
        }
    };
}

process_kind!(ProcessMap, "process.map", types::Values, "values", Gives::Values);
process_kind!(ProcessFeatures, "process.features", types::Features, "features", Gives::Features);
process_kind!(ProcessImages, "process.images", types::Images, "images", Gives::Images);

/// The stage: what all workers share.
struct Shop {
    workshop: Arc<Workshop>,
    batch_size: usize,
    workers: usize,
    started: AtomicUsize,
    _folder: TempDir,
}

impl Shop {
    fn open(process: &Process, kind: &str, gives: Gives, job: &Job<'_>) -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::new("pipe::store", format!("cannot prepare the command's folder: {error}"))
                .help("see that the disk has room and the store may be written")
        };
        let tmp = job.store.root().join("tmp");
        let folder = tempfile::Builder::new().prefix("work-").tempdir_in(tmp).map_err(refused)?;
        let python = folder.path().join("python");
        fs::create_dir(&python).map_err(refused)?;
        fs::write(python.join("pipe_map.py"), PYTHON).map_err(refused)?;
        let mut env = process.env.clone();
        env.insert("PIPE_KIND".to_owned(), kind.to_owned());
        let given = env.get("PYTHONPATH").cloned().or_else(|| std::env::var("PYTHONPATH").ok());
        let python = python.to_string_lossy();
        let path = given.map_or_else(|| python.to_string(), |given| format!("{python}:{given}"));
        env.insert("PYTHONPATH".to_owned(), path);
        let workshop = Workshop {
            command: process.command.clone(),
            cwd: working_folder(process.cwd.as_deref(), job)?,
            env,
            folder: folder.path().to_owned(),
            timeout: process.timeout.and_then(|timeout| Duration::try_from_secs_f64(timeout).ok()),
            retries: process.retries,
            gives,
            features: OnceLock::new(),
            interrupt: job.interrupt(),
            deaths: Mutex::default(),
        };
        Ok(Self {
            workshop: Arc::new(workshop),
            batch_size: process.batch_size as usize,
            workers: process.workers.map_or(job.threads, |workers| workers as usize),
            started: AtomicUsize::new(0),
            _folder: folder,
        })
    }
}

impl Stage for Shop {
    fn pace(&self) -> Pace {
        Pace::Batches { size: self.batch_size, workers: self.workers }
    }

    fn worker(&self, _: usize) -> Box<dyn Worker> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Box::new(Computing(worker::Worker::new(self.workshop.clone(), number)))
    }

    fn log(&self) -> Option<Vec<u8>> {
        fs::read(self.workshop.log()).ok().filter(|log| !log.is_empty())
    }
}

struct Computing(worker::Worker);

impl Worker for Computing {
    fn map(&mut self, items: Vec<Vec<u8>>) -> Vec<Answer> {
        self.0.compute(&items)
    }
}
