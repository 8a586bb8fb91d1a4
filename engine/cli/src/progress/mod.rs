//! What a run shows while it goes on: one listener, drawn in three ways.

mod json;
mod plain;
mod summary;
mod terminal;

use pipe_core::Event;

use crate::args::Format;

/// Hears what happens and shows it.
pub(crate) trait Progress {
    fn event(&mut self, event: &Event);
}

/// The way that suits the format and where stderr goes.
pub(crate) fn progress(format: Format) -> Box<dyn Progress> {
    if format == Format::Json {
        return Box::new(json::Json);
    }
    if console::Term::stderr().is_term() {
        Box::new(terminal::Terminal::new())
    } else {
        Box::new(plain::Plain::default())
    }
}
