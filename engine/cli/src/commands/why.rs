//! `pipe why`.

use petgraph::graph::NodeIndex;
use pipe_core::{Change, Kinds, Plan, PlannedNode, Status};
use serde_json::{Value, json};

use super::plan::word;
use crate::args::{Format, QueryArgs};
use crate::project::{Project, Settings};
use crate::{Stop, diagnostic, output};

pub(crate) fn why(kinds: &Kinds, args: &QueryArgs) -> Result<(), Stop> {
    let project = Project::open(kinds, &args.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    if targets.is_empty() {
        diagnostic::error("which node?", Some("name one: `pipe why NODE`"));
        return Err(Stop::Mistake);
    }
    // The whole plan, since what streams into what depends on all readers.
    let plan = super::plan_of(kinds, &project, &[])?;
    let mut answers = Vec::new();
    for &target in &targets {
        let Some(node) = plan.nodes.iter().find(|node| node.index == target) else { continue };
        if args.format == Format::Json {
            answers.push(json_answer(&project, node));
        } else {
            output::result(&text_answer(&project, &plan, node))?;
        }
    }
    if args.format == Format::Json {
        output::result(&format!("{}\n", json!(answers)))?;
    }
    Ok(())
}

fn text_answer(project: &Project, plan: &Plan, node: &PlannedNode) -> String {
    let mut text = String::new();
    match &node.status {
        Status::Cached => {
            let since = node.computed_at.as_ref().map(|time| format!(", computed {time}")).unwrap_or_default();
            text.push_str(&format!("{} is cached{since}\n", node.name));
            let changes = ran_because(project, node);
            if changes.is_empty() {
                text.push_str("nothing changed since it was first run\n");
            } else {
                text.push_str("when it was last run it differed from the run before in\n");
                lines(&mut text, &changes, 1);
            }
        }
        Status::Run(reason) => {
            text.push_str(&format!("{} would run: {reason}\n", node.name));
            explain(&mut text, project, plan, node, 1);
        }
        Status::Blocked(by) => text.push_str(&format!("{} is blocked: `{by}` cannot run\n", node.name)),
        Status::Failed(failure) => text.push_str(&format!("{} cannot run: {}\n", node.name, failure.message())),
    }
    text
}

/// What changed, and for what came from another node, what changed there.
fn explain(text: &mut String, project: &Project, plan: &Plan, node: &PlannedNode, depth: usize) {
    let own: Vec<Change> = node.changes.iter().filter(|change| !change.field.starts_with("inputs.")).cloned().collect();
    lines(text, &own, depth);
    for (port, from, _) in project.pipeline.inputs(node.index) {
        let Some(source) = find(plan, from) else { continue };
        let field = format!("inputs.{}", port.name);
        let changed: Vec<Change> = node.changes.iter().filter(|change| change.field == field).cloned().collect();
        let waits = matches!(source.status, Status::Run(_)) && node.manifest.is_none();
        if changed.is_empty() && !waits {
            continue;
        }
        lines(text, &changed, depth);
        text.push_str(&format!("{}from {}\n", "  ".repeat(depth), source.name));
        explain(text, project, plan, source, depth + 1);
    }
    let content: Vec<Change> = node.changes.iter().filter(|change| change.field == "inputs.content").cloned().collect();
    lines(text, &content, depth);
}

fn find(plan: &Plan, index: NodeIndex) -> Option<&PlannedNode> {
    plan.nodes.iter().find(|node| node.index == index)
}

fn lines(text: &mut String, changes: &[Change], depth: usize) {
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

fn ran_because(project: &Project, node: &PlannedNode) -> Vec<Change> {
    project.last.as_ref().and_then(|run| run.nodes.get(&node.name)).map(|node| node.changes.clone()).unwrap_or_default()
}

fn json_answer(project: &Project, node: &PlannedNode) -> Value {
    let cached = matches!(node.status, Status::Cached);
    let changes = if cached { ran_because(project, node) } else { node.changes.clone() };
    json!({
        "node": node.name,
        "status": word(&node.status),
        "changes": changes,
        "computed_at": node.computed_at,
        "manifest": node.manifest,
    })
}
