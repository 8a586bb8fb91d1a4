//! The lines that both a terminal and a file show.

use std::collections::BTreeMap;

use console::{StyledObject, style};
use pipe_core::{Event, Load, NodeReport, NodeStatus};

use crate::number::{bytes, count, counted, seconds};

/// `✓ features  2,386 cached, 1 computed  1.20 s`.
pub(super) fn node_line(node: &str, report: &NodeReport, width: usize) -> String {
    let NodeReport { items_computed: computed, items_reused: reused, items_skipped: skipped, .. } = *report;
    let what = match report.status {
        NodeStatus::Failed => return format!("{} {node:<width$}  failed", mark(report.status)),
        NodeStatus::Interrupted => return format!("{} {node:<width$}  interrupted", mark(report.status)),
        NodeStatus::Blocked => {
            let why = match &report.reason {
                Some(reason) => reason.clone(),
                None => "stopped after a failure; --keep-going goes on".to_owned(),
            };
            return format!("{} {node:<width$}  not run: {why}", mark(report.status));
        }
        NodeStatus::Reused if reused > 0 => format!("{} cached", count(reused)),
        NodeStatus::Reused => "cached".to_owned(),
        NodeStatus::Ran | NodeStatus::Unchanged if computed + reused > 0 => {
            format!("{} cached, {} computed", count(reused), count(computed))
        }
        NodeStatus::Ran => "done".to_owned(),
        NodeStatus::Unchanged => "done, unchanged".to_owned(),
    };
    let skipped = if skipped > 0 { format!(", {} skipped", count(skipped)) } else { String::new() };
    let time =
        if report.status == NodeStatus::Reused { String::new() } else { format!("  {}", seconds(report.seconds)) };
    format!("{} {node:<width$}  {what}{skipped}{}{time}", mark(report.status), metrics(report))
}

/// The metrics that tell most: `  accuracy 0.9608  loss 0.1449`.
fn metrics(report: &NodeReport) -> String {
    let shown = ["accuracy", "val_accuracy", "loss", "val_loss", "roc_auc"];
    shown.iter().filter_map(|name| Some(format!("  {name} {:.4}", report.metrics.get(*name)?))).collect()
}

fn mark(status: NodeStatus) -> StyledObject<&'static str> {
    match status {
        NodeStatus::Ran | NodeStatus::Unchanged => style("✓").green(),
        NodeStatus::Reused => style("=").dim(),
        NodeStatus::Failed => style("✗").red().bold(),
        NodeStatus::Blocked | NodeStatus::Interrupted => style("-").yellow(),
    }
    .for_stderr()
}

/// A node waits for another process.
pub(super) fn waiting_line(node: &str) -> String {
    format!("  {node}: the same is being computed already; waiting")
}

/// A file comes from the web.
pub(super) fn download_line(node: &str, file: &str, done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("  {node}: downloading {file}, {} of {}", bytes(done), bytes(total)),
        None => format!("  {node}: downloading {file}, {}", bytes(done)),
    }
}

/// `epoch 3/10  loss 0.412  accuracy 0.870  val_loss 0.430  val_accuracy 0.861`.
pub(super) fn epoch_line(epoch: usize, epochs: usize, values: &BTreeMap<String, f64>) -> String {
    let order = ["loss", "accuracy", "val_loss", "val_accuracy"];
    let named = order.iter().filter_map(|name| Some(format!("{name} {:.4}", values.get(*name)?)));
    format!("epoch {epoch}/{epochs}  {}", named.collect::<Vec<_>>().join("  "))
}

/// `GPU 87 %, 3.1 GB, waiting 12 %`.
pub(super) fn load_text(load: &Load) -> String {
    let percent = |part: f64| format!("{:.0} %", 100.0 * part);
    let busy = load.busy.map(|busy| format!("GPU {}", percent(busy)));
    let waiting = format!("waiting {}", percent(load.waiting));
    [busy, load.memory.map(bytes), Some(waiting)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The last line of a run.
pub(super) fn finished_line(event: &Event) -> Option<String> {
    let Event::Finished { ok, ran, reused, seconds: took, nodes } = event else { return None };
    let interrupted = nodes.values().any(|report| report.status == NodeStatus::Interrupted);
    let failed = nodes.values().filter(|report| report.status == NodeStatus::Failed).count();
    let blocked = nodes.values().filter(|report| report.status == NodeStatus::Blocked).count();
    let took = seconds(*took);
    Some(match (ok, interrupted) {
        (true, _) if *ran == 0 => format!("everything was reused: {}, {took}", counted(*reused, "node")),
        (true, _) => format!("{ran} run, {reused} reused, {took}"),
        (false, true) => format!("interrupted after {took}: {ran} run, {reused} reused; finished items are kept"),
        (false, false) if failed == 0 => format!("{blocked} cannot run, {ran} run, {reused} reused, {took}"),
        (false, false) => format!("{failed} failed, {ran} run, {reused} reused, {took}"),
    })
}

/// The width of the column of names.
pub(super) fn name_width(nodes: &[String]) -> usize {
    nodes.iter().map(|node| node.chars().count()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::load_text;
    use pipe_core::Load;

    #[test]
    fn what_is_known_of_a_device_is_told() {
        let load = Load { waiting: 0.123, busy: Some(0.871), memory: Some(3_100_000_000) };
        assert_eq!(load_text(&load), "GPU 87 %, 3.1 GB, waiting 12 %");
        assert_eq!(load_text(&Load { busy: None, memory: None, ..load }), "waiting 12 %");
    }
}
