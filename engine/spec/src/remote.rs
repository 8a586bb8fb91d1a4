//! Files of the web, named so that only one content can be meant.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The format that marks a file of the web in a JSON Schema.
pub(crate) const REMOTE_FORMAT: &str = "remote-file";
/// What tells a file of the web from a path.
const PATTERN: &str = "^hub:|://";
/// The file of a repository that is meant where none is named.
const USUAL_FILE: &str = "model.safetensors";

/// A file of the web; its digest is part of the node's key, its address is not.
///
/// Written `hub:OWNER/REPOSITORY@REVISION#sha256=DIGEST`, with `/FILE` behind the repository where it is
/// not `model.safetensors`, or `https://…#sha256=DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteFile {
    text: String,
    place: Place,
    sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Hub { repository: String, file: String, revision: String },
    Url(String),
}

impl RemoteFile {
    /// Whether text is meant as a file of the web rather than as a path.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("hub:") || text.contains("://")
    }

    /// Reads one as it is written.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        let error = |what: &str, help: &str| Err(RemoteError { what: what.to_owned(), help: help.to_owned() });
        if !["hub:", "https://", "http://"].iter().any(|start| text.starts_with(start)) {
            return error("cannot be fetched", "write `hub:…`, `https://…`, or the path of a copy");
        }
        let Some((place, digest)) = text.split_once('#') else {
            return error(
                "has no digest, so that another file could come tomorrow",
                "add `#sha256=` and the 64 digits that the file's page shows as SHA256, or `sha256sum` of a copy",
            );
        };
        let sha256 = digest.strip_prefix("sha256=").unwrap_or_default().to_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return error("has no digest of 64 hex digits behind `#sha256=`", "copy it from the file's page");
        }
        let Some(hub) = place.strip_prefix("hub:") else {
            return Ok(Self { text: text.to_owned(), place: Place::Url(place.to_owned()), sha256 });
        };
        let form = "write `hub:OWNER/REPOSITORY@REVISION#sha256=DIGEST`";
        let Some((path, revision)) = hub.split_once('@').filter(|(_, revision)| !revision.is_empty()) else {
            return error("names no revision", form);
        };
        let names: Vec<&str> = path.split('/').collect();
        let (Some([owner, name]), file) = (names.get(..2), names.get(2..).unwrap_or_default()) else {
            return error("names no repository", form);
        };
        if names.iter().any(|name| name.is_empty() || *name == "..") {
            return error("names no repository", form);
        }
        let file = if file.is_empty() { USUAL_FILE.to_owned() } else { file.join("/") };
        let place = Place::Hub { repository: format!("{owner}/{name}"), file, revision: revision.to_owned() };
        Ok(Self { text: text.to_owned(), place, sha256 })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The SHA-256 of its bytes, in 64 small hex digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its repository on the hub, `OWNER/NAME`, where it lies on the hub.
    pub fn repository(&self) -> Option<&str> {
        match &self.place {
            Place::Hub { repository, .. } => Some(repository),
            Place::Url(_) => None,
        }
    }

    /// Its address, with the hub at `hub`: `https://huggingface.co`.
    pub fn url(&self, hub: &str) -> String {
        match &self.place {
            Place::Hub { repository, file, revision } => {
                format!("{}/{repository}/resolve/{revision}/{file}", hub.trim_end_matches('/'))
            }
            Place::Url(url) => url.clone(),
        }
    }
}

/// What is wrong with a file of the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteError {
    /// What it lacks: `has no digest`.
    pub what: String,
    /// What to write.
    pub help: String,
}

impl std::fmt::Display for RemoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it {}; {}", self.what, self.help)
    }
}

impl TryFrom<String> for RemoteFile {
    type Error = RemoteError;

    fn try_from(text: String) -> Result<Self, RemoteError> {
        Self::parse(&text)
    }
}

impl From<RemoteFile> for String {
    fn from(remote: RemoteFile) -> Self {
        remote.text
    }
}

impl JsonSchema for RemoteFile {
    fn schema_name() -> Cow<'static, str> {
        "RemoteFile".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": REMOTE_FORMAT, "pattern": PATTERN })
    }
}
