//! Writing to stdout and stderr without a panic when nobody reads.

use std::io::{self, ErrorKind, Write};

use crate::Stop;

/// Writes a result to stdout. A reader that went away (`| head`) has had enough.
pub(crate) fn result(text: &str) -> Result<(), Stop> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            message(&format!("cannot write the result: {error}\n"));
            Err(Stop::Failed)
        }
    }
}

/// Writes an event to stdout; the run goes on where that cannot be done.
pub(crate) fn event(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Writes to stderr, where that can be done.
pub(crate) fn message(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
