//! `pipe status`.

use pipe_core::Status;
use serde_json::json;

use crate::args::{Format, QueryArgs};
use crate::number::{bytes, count, counted};
use crate::planned::detail;
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic, output, table};

pub(crate) fn status(program: &Program, args: &QueryArgs) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let plan = super::plan_of(project.context(program, args.rehash), &super::targets(&project)?)?;
    let usage = project.store.usage();
    let runs = super::runs::of_file(&project.store, Some(&project.id));
    let cached = plan.nodes.iter().filter(|node| matches!(node.status, Status::Cached)).count();
    if args.format == Format::Json {
        let nodes: serde_json::Map<String, serde_json::Value> =
            plan.nodes.iter().map(|node| (node.name.clone(), node.status.word().into())).collect();
        let value = json!({
            "pipeline": project.pipeline.name,
            "nodes": nodes,
            "last_run": runs.first().map(|run| &run.id),
            "store": { "path": project.store.root(), "bytes": usage.bytes(), "items": usage.items },
        });
        return output::result(&format!("{value:#}\n"));
    }
    let name = &project.pipeline.name;
    let mut text = match plan.nodes.len() - cached {
        0 => format!("{name}: everything is cached ({})\n", counted(cached, "node")),
        run => format!("{name}: {} cached, {} would run\n", count(cached), count(run)),
    };
    if !project.given.is_empty() {
        text.push_str(&format!("with {}\n", project.given.words().join(" ")));
    }
    let rows: Vec<_> = plan
        .nodes
        .iter()
        .filter(|node| !matches!(node.status, Status::Cached))
        .map(|node| vec![node.name.clone(), node.status.word().to_owned(), detail(node)])
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table::table(&["node", "", ""], &rows));
        text.push('\n');
    }
    match runs.first() {
        Some(run) => text.push_str(&format!("last run: {}, {}\n", run.time, super::log::ending(run))),
        None => text.push_str("never run\n"),
    }
    text.push_str(&format!(
        "store: {}, {}, {}\n",
        project.store.root().display(),
        bytes(usage.bytes()),
        counted(usage.items, "item")
    ));
    output::result(&text)
}
