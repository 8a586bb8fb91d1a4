//! A line a node, with a bar while it works on items.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use pipe_core::Event;

use super::Progress;
use super::summary::{epoch_line, finished_line, name_width, node_line, waiting_line};

pub(super) struct Terminal {
    bars: MultiProgress,
    running: HashMap<String, ProgressBar>,
    /// The nodes whose bar counts items.
    over_items: HashSet<String>,
    width: usize,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { bars: MultiProgress::new(), running: HashMap::new(), over_items: HashSet::new(), width: 0 }
    }

    fn say(&self, line: &str) {
        // A terminal that went away cannot be told so.
        let _ = self.bars.println(line);
    }
}

impl Progress for Terminal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Started { nodes, .. } => self.width = name_width(nodes),
            Event::NodeStarted { node } => {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner:.cyan} {prefix}  {wide_msg}"));
                bar.set_prefix(format!("{node:<width$}", width = self.width));
                bar.enable_steady_tick(Duration::from_millis(100));
                self.running.insert(node.clone(), bar);
            }
            Event::Progress { node, done, total, reused } => {
                let Some(bar) = self.running.get(node) else { return };
                if !self.over_items.contains(node) {
                    self.over_items.insert(node.clone());
                    bar.set_style(style(
                        "{spinner:.cyan} {prefix}  {wide_bar:.cyan/dim} {human_pos}/{human_len}  {rate}  {eta} left",
                    ));
                    bar.set_length(*total as u64);
                    bar.set_position(*reused as u64);
                    // The rate and the time left are those of what is computed.
                    bar.reset_eta();
                }
                bar.set_position(*done as u64);
            }
            Event::Download { node, file, done, total } => {
                let Some(bar) = self.running.get(node) else { return };
                match total {
                    Some(total) if bar.length().is_none() => {
                        bar.set_style(style(
                            "{spinner:.cyan} {prefix}  {msg}  {wide_bar:.cyan/dim} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
                        ));
                        bar.set_message(file.clone());
                        bar.set_length(*total);
                        bar.set_position(*done);
                        bar.reset_eta();
                    }
                    Some(_) => bar.set_position(*done),
                    None => bar.set_message(format!("downloading {file}")),
                }
            }
            Event::Epoch { node, epoch, epochs, values } => {
                if let Some(bar) = self.running.get(node) {
                    bar.set_message(epoch_line(*epoch, *epochs, values));
                }
            }
            Event::Waiting { node } => self.say(&waiting_line(node)),
            Event::Note { node, text } => self.say(&format!("  {node}: {text}")),
            Event::NodeFinished { node, report } => {
                self.over_items.remove(node);
                if let Some(bar) = self.running.remove(node) {
                    bar.finish_and_clear();
                }
                self.say(&node_line(node, report, self.width));
            }
            Event::Finished { .. } => finished_line(event).iter().for_each(|line| self.say(line)),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, text: &mut dyn Write| {
        let _ = write!(text, "{:.0}/s", state.per_sec());
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", rate).progress_chars("━╸─")
}
