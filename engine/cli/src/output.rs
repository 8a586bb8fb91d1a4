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

/// Lines on their way out, gathered where many come at once.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Lines that are held back may be this long together, in bytes.
    const HELD: usize = 1 << 16;

    /// Adds a line. With `hold`, it may wait for the next one.
    pub(crate) fn add(&mut self, line: &str, hold: bool, write: impl FnOnce(&str)) {
        self.0.push_str(line);
        self.0.push('\n');
        if !hold || self.0.len() > Self::HELD {
            write(&self.0);
            self.0.clear();
        }
    }
}

/// Writes events to stdout; the run goes on where that cannot be done.
pub(crate) fn events(lines: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes to stderr, where that can be done.
pub(crate) fn message(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
