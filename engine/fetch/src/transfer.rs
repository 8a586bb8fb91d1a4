//! One request and its answer, on a thread of its own: whoever waits for it can stop waiting.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::{Agent, Body, Error, http};

use crate::{FetchError, Request};

/// Bytes that are read at once.
const PART: usize = 128 << 10;
/// How long a host may take to be found and to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes of a request, one after another.
pub(crate) enum Piece {
    Head(Head),
    Bytes(Vec<u8>),
    /// The last.
    Failed(FetchError),
}

/// What is known before the first byte.
pub(crate) struct Head {
    /// Where in the file the bytes begin.
    pub(crate) start: u64,
    /// How many will come, where it is told.
    pub(crate) length: Option<u64>,
}

/// Asks for what lies behind the first `have` bytes.
pub(crate) fn begin(request: &Request<'_>, have: u64) -> Receiver<Piece> {
    let (send, receive) = sync_channel(8);
    let (url, token) = (request.url.to_owned(), request.token.map(str::to_owned));
    thread::spawn(move || {
        if let Err(error) = run(&url, token.as_deref(), have, &send) {
            // Nobody may be waiting any more.
            let _ = send.send(Piece::Failed(error));
        }
    });
    receive
}

fn run(url: &str, token: Option<&str>, have: u64, send: &SyncSender<Piece>) -> Result<(), FetchError> {
    let response = ask(url, token, have)?;
    let head = head(url, &response, have)?;
    let (start, length) = (head.start, head.length);
    // What comes with a refusal is no part of the file.
    if send.send(Piece::Head(head)).is_err() || length == Some(0) {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    let mut done = start;
    loop {
        let mut bytes = vec![0; PART];
        let read = body.read(&mut bytes);
        let read = read.map_err(|error| FetchError::CutOff { url: url.into(), done, reason: error.to_string() })?;
        bytes.truncate(read);
        done += read as u64;
        if read == 0 || send.send(Piece::Bytes(bytes)).is_err() {
            return Ok(());
        }
    }
}

fn ask(url: &str, token: Option<&str>, have: u64) -> Result<http::Response<Body>, FetchError> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .user_agent(concat!("pipe/", env!("CARGO_PKG_VERSION")))
        .build();
    let mut request = Agent::new_with_config(config).get(url);
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.call().map_err(|error| {
        let (url, reason) = (url.to_owned(), error.to_string());
        match error {
            Error::BadUri(_) | Error::Http(_) | Error::RedirectFailed | Error::TooManyRedirects => {
                FetchError::Address { url, reason }
            }
            _ => FetchError::Io { url, reason },
        }
    })
}

fn head(url: &str, response: &http::Response<Body>, have: u64) -> Result<Head, FetchError> {
    let length = response.body().content_length();
    match response.status().as_u16() {
        200 => Ok(Head { start: 0, length }),
        206 => {
            let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
            let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
            match start {
                Some(start) if start == have => Ok(Head { start, length }),
                _ => {
                    Err(FetchError::Io { url: url.into(), reason: "the host sent another part than asked for".into() })
                }
            }
        }
        // All is there already, or more than all, which the digest tells.
        416 => Ok(Head { start: have, length: Some(0) }),
        status => Err(FetchError::Status { url: url.into(), status }),
    }
}
