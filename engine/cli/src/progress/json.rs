//! One event a line on stdout, for programs.

use pipe_core::Event;

use super::{Progress, is_one_of_many};
use crate::output::{Lines, events};

#[derive(Default)]
pub(super) struct Json {
    lines: Lines,
}

impl Progress for Json {
    fn event(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            self.lines.add(&line, is_one_of_many(event), events);
        }
    }
}
