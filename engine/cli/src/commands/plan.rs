//! `pipe plan`.

use pipe_core::{PlannedNode, Status};
use serde_json::{Value, json};

use crate::args::{Format, QueryArgs};
use crate::planned::detail;
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic, output, table};

pub(crate) fn plan(program: &Program, args: &QueryArgs) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::Given).map_err(|error| diagnostic::unusable(&error))?;
    let plan = super::plan_of(project.context(program, args.rehash), &super::targets(&project)?)?;
    if args.format == Format::Json {
        let nodes: Vec<Value> = plan.nodes.iter().map(json_node).collect();
        output::result(&format!("{}\n", json!({ "pipeline": project.pipeline.name, "nodes": nodes })))?;
    } else {
        let rows: Vec<_> = plan
            .nodes
            .iter()
            .map(|node| vec![node.name.clone(), node.status.word().to_owned(), detail(node)])
            .collect();
        output::result(&table::table(&["node", "", ""], &rows))?;
    }
    let failed: Vec<_> = plan
        .nodes
        .iter()
        .filter_map(|node| match &node.status {
            Status::Failed(failure) => Some(failure.problem(&project.pipeline, node.index)),
            _ => None,
        })
        .collect();
    diagnostic::print(&failed);
    if failed.is_empty() { Ok(()) } else { Err(Stop::Failed) }
}

fn json_node(node: &PlannedNode) -> Value {
    json!({
        "name": node.name,
        "status": node.status.word(),
        "detail": detail(node),
        "changes": node.changes,
        "key": node.manifest.as_ref().map(|manifest| manifest.key()),
        "items": node.items.map(|(total, cached)| json!({ "total": total, "cached": cached })),
        "streams_into": node.streams_into,
    })
}
