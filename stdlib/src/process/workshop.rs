//! What the workers of a command share: how it is run, what it answers, whether it is broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pipe_core::{Interrupt, ItemError};
use serde_json::Value;

use crate::features::encode_features;
use crate::preprocess::decode_photo;

/// What became of an item: its bytes, or why there are none.
pub(super) type Answer = Result<Vec<u8>, ItemError>;

/// What a command answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Values,
    Features,
    Images,
}

/// What a worker must know.
pub(super) struct Workshop {
    pub(super) command: String,
    pub(super) cwd: PathBuf,
    pub(super) env: BTreeMap<String, String>,
    /// A folder for items on their way.
    pub(super) folder: PathBuf,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: u32,
    pub(super) gives: Gives,
    /// How many numbers each vector has, once one is there.
    pub(super) features: OnceLock<usize>,
    pub(super) interrupt: Interrupt,
    pub(super) deaths: Mutex<Deaths>,
}

/// Items that broke a new worker, one after another.
#[derive(Default)]
pub(super) struct Deaths {
    in_a_row: usize,
    /// Why nothing can be computed with the command.
    broken: Option<ItemError>,
}

impl Workshop {
    /// Where workers write what is not an answer.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Whether the run is to stop.
    pub(super) fn has_stopped(&self) -> bool {
        self.interrupt.is_set()
    }

    /// Why nothing can be computed with the command.
    pub(super) fn broken(&self) -> Option<ItemError> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner).broken.clone()
    }

    /// A worker died. One that does so over several items, each alone and before it answered anything,
    /// would die over every item.
    pub(super) fn note_death(&self, alone: bool, reason: &str, most: usize) {
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        deaths.in_a_row += usize::from(alone);
        if deaths.in_a_row >= most {
            deaths.broken = Some(ItemError { reason: reason.to_owned(), passing: true });
        }
    }

    /// A worker did what it was to do.
    pub(super) fn note_life(&self) {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner).in_a_row = 0;
    }

    /// The bytes of an item, of what the command answered.
    pub(super) fn take(&self, answer: &Value, out: &Path) -> Answer {
        let missing = |key: &str| format!("the command answered without `{key}`");
        match self.gives {
            Gives::Values => {
                let value = answer.get("value").ok_or_else(|| missing("value"))?;
                serde_json::to_vec(value).map_err(|error| error.to_string().into())
            }
            Gives::Features => {
                let numbers = answer["features"].as_array().ok_or_else(|| missing("features"))?;
                let number = |value: &Value| value.as_f64().map(|number| number as f32);
                let numbers: Option<Vec<f32>> = numbers.iter().map(number).collect();
                let finite = numbers.filter(|numbers| !numbers.is_empty() && numbers.iter().all(|n| n.is_finite()));
                let features = finite.ok_or("the command's `features` are not a list of finite numbers")?;
                let wanted = *self.features.get_or_init(|| features.len());
                if features.len() != wanted {
                    let message = format!("the command gave {} numbers here, and {wanted} elsewhere", features.len());
                    return Err(message.into());
                }
                Ok(encode_features(&features))
            }
            Gives::Images => {
                let path = answer["image"].as_str().ok_or_else(|| missing("image"))?;
                let path = self.cwd.join(path);
                let bytes = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let inside = |path: &Path| Some(path.canonicalize().ok()?.starts_with(out.canonicalize().ok()?));
                if inside(&path) == Some(true) {
                    // What is left goes with the folder.
                    let _ = fs::remove_file(&path);
                }
                Ok(decode_photo(&bytes)?.encode())
            }
        }
    }
}
