//! Gets one file from the web: goes on where it was cut off, and holds it against its digest.
//!
//! Knows nothing of pipelines or of the store.

mod error;
mod part;
mod transfer;

use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

pub use error::FetchError;
use part::Part;
use transfer::{Head, Piece};

/// So often in a row a transfer may bring nothing before it is given up.
const TRIES: u32 = 5;
/// The pause after the first try that brought nothing; it doubles with each.
const PAUSE: Duration = Duration::from_millis(200);
/// A transfer that brings nothing for so long is begun anew.
const STALLED: Duration = Duration::from_secs(30);
/// How often `tell` is asked whether to go on.
const TICK: Duration = Duration::from_millis(100);

/// A file of the web.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its address, `http://` or `https://`.
    pub url: &'a str,
    /// The SHA-256 of its bytes, in 64 small hex digits.
    pub sha256: &'a str,
    /// Shown to the first host as a bearer token, never to one that it sends us on to.
    pub token: Option<&'a str>,
}

/// Fetches a file into `part`, going on behind what is there already. `tell` hears how many bytes are
/// there and how many there will be, and says whether to go on.
///
/// What a failure leaves in `part` is good for going on later; bytes of another digest are removed.
///
/// # Errors
/// When the file is not to be had, or is not the one of that digest.
pub fn fetch(
    request: &Request<'_>,
    part: &Path,
    tell: &mut dyn FnMut(u64, Option<u64>) -> bool,
) -> Result<(), FetchError> {
    let mut part = Part::open(part)?;
    if part.length()? > 0 && part.sha256()? == request.sha256 {
        return Ok(());
    }
    let is_pieced = whole(request, &mut part, tell)?;
    let mut found = part.sha256()?;
    if found != request.sha256 && is_pieced {
        // The pieces may have been of different files.
        part.cut(0)?;
        whole(request, &mut part, tell)?;
        found = part.sha256()?;
    }
    if found != request.sha256 {
        part.remove();
        return Err(FetchError::WrongDigest { url: request.url.into(), expected: request.sha256.into(), found });
    }
    Ok(())
}

/// Tries until the whole file is there, and tells whether it came in pieces.
fn whole(
    request: &Request<'_>,
    part: &mut Part<'_>,
    tell: &mut dyn FnMut(u64, Option<u64>) -> bool,
) -> Result<bool, FetchError> {
    let (mut in_vain, mut is_pieced) = (0, false);
    loop {
        let before = part.length()?;
        is_pieced |= before > 0;
        match once(request, part, before, tell) {
            Err(error) if error.is_passing() => {
                in_vain = if part.length()? > before { 1 } else { in_vain + 1 };
                if in_vain == TRIES {
                    return Err(error);
                }
                pause(PAUSE * 2_u32.pow(in_vain - 1), before, tell)?;
            }
            done => return done.map(|()| is_pieced),
        }
    }
}

/// One transfer, of what lies behind the first `have` bytes.
fn once(
    request: &Request<'_>,
    part: &mut Part<'_>,
    have: u64,
    tell: &mut dyn FnMut(u64, Option<u64>) -> bool,
) -> Result<(), FetchError> {
    let url = || request.url.to_owned();
    let pieces = transfer::begin(request, have);
    let (mut done, mut total) = (have, None);
    let (mut heard, mut told) = (Instant::now(), None);
    loop {
        if told.is_none_or(|told: Instant| told.elapsed() >= TICK) {
            told = Some(Instant::now());
            if !tell(done, total) {
                return Err(FetchError::Stopped);
            }
        }
        match pieces.recv_timeout(TICK) {
            Ok(Piece::Head(Head { start, length })) => {
                part.cut(start)?;
                (done, total) = (start, length.map(|length| start + length));
                heard = Instant::now();
            }
            Ok(Piece::Bytes(bytes)) => {
                part.add(&bytes)?;
                done += bytes.len() as u64;
                heard = Instant::now();
            }
            Ok(Piece::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > STALLED => {
                return Err(FetchError::CutOff { url: url(), done, reason: "nothing came for half a minute".into() });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if total.is_some_and(|total| done < total) => {
                return Err(FetchError::CutOff { url: url(), done, reason: "the connection was closed".into() });
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Waits, unless `tell` says to stop.
fn pause(time: Duration, done: u64, tell: &mut dyn FnMut(u64, Option<u64>) -> bool) -> Result<(), FetchError> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if !tell(done, None) {
            return Err(FetchError::Stopped);
        }
        thread::sleep(TICK.min(time));
    }
    Ok(())
}
