//! `pipe why`.

use pipe_core::{Change, Explanation, InputExplanation, ItemExplanation, RowChanges, explain, explain_item};
use serde_json::{Value, json};

use crate::args::{Format, WhyArgs};
use crate::number::count;
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic, output};

pub(crate) fn why(program: &Program, args: &WhyArgs) -> Result<(), Stop> {
    let query = &args.query;
    let project =
        Project::open(program, &query.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    let Some(&first) = targets.first() else {
        diagnostic::error("which node?", Some("name one: `pipe why NODE`"));
        return Err(Stop::Mistake);
    };
    let context = project.context(program, query.rehash);
    if let Some(item) = &args.item {
        let explained = explain_item(context, first, item).map_err(super::mistakes)?;
        let Some(explained) = explained else {
            let name = &project.pipeline.graph[first].name;
            let hint = "items are rows of nodes such as preprocess.image and features.backbone, by their id";
            diagnostic::error(&format!("`{name}` has no item `{item}`"), Some(hint));
            return Err(Stop::Mistake);
        };
        return output::result(&match query.format {
            Format::Json => format!("{:#}\n", json!(explained)),
            Format::Text => item_text(&explained),
        });
    }
    let explained = explain(context, &targets).map_err(super::mistakes)?;
    output::result(&match query.format {
        Format::Json => format!("{:#}\n", json!(explained)),
        Format::Text => explained.iter().map(text).collect(),
    })
}

fn text(explanation: &Explanation) -> String {
    let Explanation { node, status, reason, computed_at, last_computed_at, changes, .. } = explanation;
    let mut text = String::new();
    match (*status, reason) {
        ("cached", _) => {
            let since = computed_at.as_ref().map(|time| format!(", computed {time}")).unwrap_or_default();
            text.push_str(&format!("{node} is cached{since}\n"));
            if changes.is_empty() {
                text.push_str("nothing changed since it was first run\n");
            } else {
                text.push_str("when it was last run it differed from the run before in\n");
                fields(&mut text, changes, 1);
            }
        }
        ("run", reason) => {
            text.push_str(&format!("{node} would run: {}\n", reason.as_deref().unwrap_or_default()));
            if let Some(time) = last_computed_at {
                text.push_str(&format!("last computed {time}\n"));
            }
            details(&mut text, explanation, 1);
        }
        ("blocked", Some(reason)) => text.push_str(&format!("{node} is blocked: {reason}\n")),
        (_, reason) => text.push_str(&format!("{node} cannot run: {}\n", reason.as_deref().unwrap_or_default())),
    }
    text
}

/// What changed, and for what came from another node, what changed there.
fn details(text: &mut String, explanation: &Explanation, depth: usize) {
    fields(text, &explanation.changes, depth);
    for InputExplanation { change, rows, from, .. } in &explanation.inputs {
        fields(text, change.as_slice(), depth);
        if let Some(rows) = rows {
            row_lines(text, rows, depth + 1);
        }
        if let Some(from) = from {
            let state = match from.status {
                "cached" => " (cached)",
                _ => "",
            };
            text.push_str(&format!("{}from {}{state}\n", "  ".repeat(depth), from.node));
            if from.status != "cached" {
                details(text, from, depth + 1);
            }
        }
    }
}

fn row_lines(text: &mut String, rows: &RowChanges, depth: usize) {
    let kinds = [
        ("added", &rows.added),
        ("removed", &rows.removed),
        ("with other bytes", &rows.changed),
        ("with another label or split", &rows.relabelled),
    ];
    let indent = "  ".repeat(depth);
    for (what, named) in kinds.into_iter().filter(|(_, named)| named.count > 0) {
        let more = match named.count - named.first.len() {
            0 => String::new(),
            more => format!(" and {} more", count(more)),
        };
        text.push_str(&format!("{indent}{} {what}: {}{more}\n", count(named.count), named.first.join(", ")));
    }
    if rows.reordered {
        text.push_str(&format!("{indent}the same rows in another order\n"));
    }
}

fn fields(text: &mut String, changes: &[Change], depth: usize) {
    for change in changes {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "(nothing)".to_owned(), short);
        let indent = "  ".repeat(depth);
        text.push_str(&format!("{indent}{}: {} -> {}\n", change.field, value(&change.old), value(&change.new)));
    }
}

/// A value, digests cut to what tells two apart.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}…", &text[..8])
        }
        value => value.to_string(),
    }
}

fn item_text(item: &ItemExplanation) -> String {
    let mut text = match (item.cached, item.key) {
        (_, None) => format!("{} has no bytes: its table has labels only\n", item.item),
        (true, _) => format!("{} of {} is cached\n", item.item, item.node),
        (false, _) => format!("{} of {} would be computed\n", item.item, item.node),
    };
    match (item.in_last_run, item.last_content == item.content) {
        (false, _) => text.push_str("  it had no part in the last run\n"),
        (true, true) => text.push_str("  its bytes are those of the last run\n"),
        (true, false) => text.push_str("  its bytes are not those of the last run\n"),
    }
    for (stage, changes) in item.stages.iter().filter(|(_, changes)| !changes.is_empty()) {
        text.push_str(&format!("  {stage} differs from the last run in\n"));
        fields(&mut text, changes, 2);
    }
    let digests = [("bytes", item.content), ("key", item.key), ("pack", item.pack)];
    for (what, digest) in digests.into_iter().filter_map(|(what, digest)| Some((what, digest?))) {
        text.push_str(&format!("  {what:<5} {digest}\n"));
    }
    text
}
