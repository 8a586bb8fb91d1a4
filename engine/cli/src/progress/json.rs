//! One event a line on stdout, for programs.

use pipe_core::Event;

use super::Progress;
use crate::output;

pub(super) struct Json;

impl Progress for Json {
    fn event(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            output::event(&line);
        }
    }
}
