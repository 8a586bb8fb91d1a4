//! What a run shows while it goes on: one listener, drawn in three ways.

mod json;
mod plain;
mod summary;
mod terminal;

use pipe_core::{Event, NodeStatus};

use crate::args::Format;

/// Hears what happens and shows it.
pub(crate) trait Progress {
    fn event(&mut self, event: &Event);
}

/// Whether more events follow at once: a thousand nodes that are reused need no thousand writes.
fn is_one_of_many(event: &Event) -> bool {
    matches!(event, Event::NodeFinished { report, .. } if report.status == NodeStatus::Reused)
}

/// The way that suits the format and where stderr goes.
pub(crate) fn progress(format: Format) -> Box<dyn Progress> {
    if format == Format::Json {
        return Box::new(json::Json::default());
    }
    if console::Term::stderr().is_term() {
        Box::new(terminal::Terminal::new())
    } else {
        Box::new(plain::Plain::default())
    }
}
