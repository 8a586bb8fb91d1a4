//! Where weights come from, and how they get into the store.

use std::borrow::Cow;
use std::path::PathBuf;

use pipe_core::{Failure, Job};
use pipe_network::{Naming, Network, Weights, WeightsError};
use pipe_spec::{FilePath, RemoteFile};
use pipe_store::Digest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where weights come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WeightsFrom {
    /// Chance.
    Random,
    /// A file.
    File(FilePath),
    /// A file of the web.
    Remote(RemoteFile),
}

impl TryFrom<String> for WeightsFrom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "random" {
            return Ok(Self::Random);
        }
        if RemoteFile::is_meant(&text) {
            return RemoteFile::parse(&text).map(Self::Remote).map_err(|error| error.to_string());
        }
        Ok(Self::File(FilePath::from(PathBuf::from(text))))
    }
}

impl From<WeightsFrom> for String {
    fn from(weights: WeightsFrom) -> Self {
        match weights {
            WeightsFrom::Random => "random".into(),
            WeightsFrom::File(file) => file.path().to_string_lossy().into_owned(),
            WeightsFrom::Remote(remote) => remote.into(),
        }
    }
}

impl JsonSchema for WeightsFrom {
    fn schema_name() -> Cow<'static, str> {
        "WeightsFrom".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (file, remote) = (FilePath::json_schema(generator), RemoteFile::json_schema(generator));
        json_schema!({ "anyOf": [{ "const": "random" }, remote, file] })
    }
}

impl WeightsFrom {
    /// The weights of a network, and whose names they have; from the web where they are not in the store.
    pub(crate) fn read(&self, network: &Network, seed: u32, job: &Job<'_>) -> Result<(Weights, Naming), Failure> {
        let path = match self {
            Self::Random => return Ok((Weights::random(network, u64::from(seed)), Naming::Torchvision)),
            Self::File(file) => file.path().to_owned(),
            Self::Remote(remote) => fetched(remote, job)?.1,
        };
        Weights::read(&path, network).map_err(|error| self.unusable(&error))
    }

    /// The weights' file as a blob in the store, so that a model has all that it needs.
    pub(crate) fn stored(&self, job: &Job<'_>) -> Result<Option<Digest>, Failure> {
        match self {
            Self::Random => Ok(None),
            Self::File(file) => {
                let bytes = std::fs::read(file.path()).map_err(|error| self.unreadable(&error))?;
                Ok(Some(job.store.put(&bytes)?))
            }
            Self::Remote(remote) => Ok(Some(fetched(remote, job)?.0)),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> Failure {
        Failure::new("pipe::file_not_found", format!("cannot read {self}: {error}")).param("weights")
    }

    fn unusable(&self, error: &WeightsError) -> Failure {
        let (code, message, help) = match error {
            WeightsError::Io(error) => return self.unreadable(error),
            WeightsError::Hdf5 => (
                "pipe::weights",
                error.to_string(),
                "take the same weights from timm, which has Keras' as `tf_...` (then `variant: tensorflow`), or \
                 write them as safetensors with torchvision's names",
            ),
            WeightsError::Format(_) => {
                ("pipe::weights", format!("{self}: {error}"), "safetensors files and what `torch.save` writes are read")
            }
            WeightsError::Misfit { .. } => (
                "pipe::weights",
                error.to_string(),
                "see that `model` is the network that the weights were made for, with torchvision's or timm's names",
            ),
        };
        Failure::new(code, message).param("weights").help(help)
    }
}

fn fetched(remote: &RemoteFile, job: &Job<'_>) -> Result<(Digest, PathBuf), Failure> {
    job.fetch(remote).map_err(|failure| failure.param("weights"))
}

impl std::fmt::Display for WeightsFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Random => write!(f, "random weights"),
            Self::File(file) => write!(f, "{}", file.path().display()),
            Self::Remote(remote) => write!(f, "{}", remote.text().split('#').next().unwrap_or_default()),
        }
    }
}
