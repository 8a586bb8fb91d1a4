//! Plain lines, for a file or a pipe: a line when a node is done, few while it goes on.

use std::time::{Duration, Instant};

use pipe_core::Event;

use super::summary::{download_line, finished_line, name_width, node_line, waiting_line};
use super::{Progress, is_one_of_many};
use crate::number::{count, counted};
use crate::output::{self, Lines};

/// How long a node over items is silent.
const EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Plain {
    width: usize,
    spoke: Option<Instant>,
    lines: Lines,
}

impl Progress for Plain {
    fn event(&mut self, event: &Event) {
        let hold = is_one_of_many(event);
        let mut say = |line: &str| self.lines.add(line, hold, output::message);
        match event {
            Event::Started { pipeline, nodes } => {
                self.width = name_width(nodes);
                say(&format!("{pipeline}: {}", counted(nodes.len(), "node")));
            }
            Event::Progress { node, done, total, .. } => {
                if self.spoke.get_or_insert_with(Instant::now).elapsed() >= EVERY {
                    self.spoke = Some(Instant::now());
                    say(&format!("  {node}: {} of {}", count(*done), count(*total)));
                }
            }
            Event::Download { node, file, done, total } => {
                if self.spoke.get_or_insert_with(Instant::now).elapsed() >= EVERY {
                    self.spoke = Some(Instant::now());
                    say(&download_line(node, file, *done, *total));
                }
            }
            Event::Waiting { node } => say(&waiting_line(node)),
            Event::Note { node, text } => say(&format!("  {node}: {text}")),
            Event::NodeFinished { node, report } => say(&node_line(node, report, self.width)),
            Event::Finished { .. } => finished_line(event).iter().for_each(|line| say(line)),
            Event::NodeStarted { .. } | Event::Epoch { .. } | Event::Load { .. } => {}
        }
    }
}
