//! One event a line on stdout, for programs.

use pipe_core::Event;

use super::Progress;

pub(super) struct Json;

impl Progress for Json {
    #[expect(clippy::print_stdout, reason = "events are the result of this format")]
    fn event(&mut self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            println!("{line}");
        }
    }
}
