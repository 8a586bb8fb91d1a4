//! A line a node, with a bar while it works on items.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use pipe_core::Event;

use super::Progress;
use super::summary::{epoch_line, finished_line, load_text, name_width, node_line, waiting_line};

pub(super) struct Terminal {
    bars: MultiProgress,
    running: HashMap<String, Running>,
    width: usize,
}

/// A node that runs.
struct Running {
    bar: ProgressBar,
    /// Whether the bar counts items.
    is_over_items: bool,
    /// What the last epoch gave.
    epoch: String,
    /// How busy devices are.
    load: String,
}

impl Running {
    /// Shows the texts; beside them the bar over items is a short one, so that they are cut before they wrap.
    fn show(&self) {
        let texts = [self.load.as_str(), self.epoch.as_str()];
        let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        if self.is_over_items && !texts.is_empty() && self.bar.message().is_empty() {
            self.bar.set_style(style(
                "{spinner:.cyan} {prefix}  {bar:16.cyan/dim} {human_pos}/{human_len}  {rate}  {eta} left  {wide_msg}",
            ));
        }
        self.bar.set_message(texts.join("  "));
    }
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { bars: MultiProgress::new(), running: HashMap::new(), width: 0 }
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
                let (epoch, load) = (String::new(), String::new());
                self.running.insert(node.clone(), Running { bar, is_over_items: false, epoch, load });
            }
            Event::Progress { node, done, total, reused } => {
                let Some(Running { bar, is_over_items, .. }) = self.running.get_mut(node) else { return };
                if !*is_over_items {
                    *is_over_items = true;
                    // What was fetched before is no longer told.
                    bar.set_message("");
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
            Event::Load { node, load } => {
                let Some(running) = self.running.get_mut(node) else { return };
                running.load = load_text(load);
                running.show();
            }
            Event::Download { node, file, done, total } => {
                let Some(Running { bar, .. }) = self.running.get(node) else { return };
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
                let Some(running) = self.running.get_mut(node) else { return };
                running.epoch = epoch_line(*epoch, *epochs, values);
                running.show();
            }
            Event::Waiting { node } => self.say(&waiting_line(node)),
            Event::Note { node, text } => self.say(&format!("  {node}: {text}")),
            Event::NodeFinished { node, report } => {
                if let Some(Running { bar, .. }) = self.running.remove(node) {
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
