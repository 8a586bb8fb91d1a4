//! Files of the web, kept in the store: fetched once, found there afterwards.

use std::path::PathBuf;

use pipe_fetch::{FetchError, Request, fetch};
use pipe_spec::RemoteFile;
use pipe_store::Digest;
use serde::{Deserialize, Serialize};

use crate::{Event, Failure, Job};

/// Where models lie where no other place is given.
const HUB: &str = "https://huggingface.co";
/// The family of documents that says which blob has a SHA-256.
const FAMILY: &str = "fetched";

#[derive(Serialize, Deserialize)]
struct Fetched {
    digest: Digest,
}

impl Job<'_> {
    /// Where a file of the web lies, in the store: it is fetched if it was not yet. The hub is at
    /// `HF_ENDPOINT` where that is set, and is shown `HF_TOKEN`.
    ///
    /// # Errors
    /// When it is not to be had, is another file than its digest says, or the run is to stop.
    pub fn fetch(&self, remote: &RemoteFile) -> Result<(Digest, PathBuf), Failure> {
        if let Some(found) = self.fetched(remote) {
            return Ok(found);
        }
        let file = remote.text().split('#').next().unwrap_or_default();
        let mut is_told = false;
        let waiting = || {
            if !std::mem::replace(&mut is_told, true) {
                self.note(format!("another process fetches {file}: waiting for it"));
            }
            !self.interrupt.is_set()
        };
        let lock = self.store.lock_part(remote.sha256(), waiting)?;
        let Some(lock) = lock else { return Err(Failure::interrupted()) };
        // Another process may have fetched it meanwhile.
        if let Some(found) = self.fetched(remote) {
            return Ok(found);
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_of_hub = remote.repository().is_some();
        let url = remote.url(&variable("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned()));
        let token = variable("HF_TOKEN").filter(|_| is_of_hub);
        let request = Request { url: &url, sha256: remote.sha256(), token: token.as_deref() };
        let mut tell = |done, total| {
            (self.tell)(Event::Download { node: self.node.clone(), file: file.to_owned(), done, total });
            !self.interrupt.is_set()
        };
        fetch(&request, lock.path(), &mut tell).map_err(|error| failure(error, is_of_hub))?;
        let digest = self.store.take_file(lock.path())?;
        self.store.put_document(FAMILY, remote.sha256(), &Fetched { digest })?;
        self.fetched(remote).ok_or_else(|| Failure::lost(format!("`{file}`")))
    }

    fn fetched(&self, remote: &RemoteFile) -> Option<(Digest, PathBuf)> {
        let Fetched { digest } = self.store.document(FAMILY, remote.sha256())?;
        Some((digest, self.store.path_of(digest)?))
    }
}

fn failure(error: FetchError, is_of_hub: bool) -> Failure {
    let failure = Failure::new("pipe::fetch", error.to_string());
    match error {
        FetchError::Stopped => Failure::interrupted(),
        FetchError::Status { status: 401 | 403, .. } if is_of_hub => {
            failure.help("the repository may be private or ask for consent: set HF_TOKEN to a token that may read it")
        }
        FetchError::Status { status: 404, .. } if is_of_hub => {
            failure.help("see that the repository, the revision behind `@` and the file are written as on the hub")
        }
        FetchError::Status { status: 404, .. } | FetchError::Address { .. } => {
            failure.help("see that the address is right")
        }
        FetchError::WrongDigest { .. } => failure.help(
            "the file was changed or the digest is of another one: compare with its page, then write the digest \
             that you trust",
        ),
        FetchError::Io { .. } | FetchError::CutOff { .. } | FetchError::Status { .. } => failure.help(
            "what has come is kept for a day, and the next run goes on there; without the network, write the path \
             of a copy",
        ),
        FetchError::Write { .. } => failure,
    }
}
