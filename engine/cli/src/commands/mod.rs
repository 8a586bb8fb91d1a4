//! The commands, a file each.

pub(crate) mod check;
pub(crate) mod init;
pub(crate) mod nodes;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod why;

use petgraph::graph::NodeIndex;
use pipe_core::Plan;

use crate::project::Project;
use crate::{Stop, diagnostic};

/// The nodes named on the command line.
fn targets(project: &Project) -> Result<Vec<NodeIndex>, Stop> {
    let mut targets = Vec::new();
    for name in &project.nodes {
        match project.pipeline.find(name) {
            Ok(index) => targets.push(index),
            Err(near) => {
                let all: Vec<_> = project.pipeline.graph.node_weights().map(|node| node.name.as_str()).collect();
                let hint =
                    near.map_or_else(|| format!("nodes: {}", all.join(", ")), |near| format!("did you mean `{near}`?"));
                diagnostic::error(&format!("there is no node `{name}`"), Some(&hint));
                return Err(Stop::Mistake);
            }
        }
    }
    Ok(targets)
}

/// Plans a project.
fn plan_of(kinds: &pipe_core::Kinds, project: &Project, targets: &[NodeIndex]) -> Result<Plan, Stop> {
    Plan::new(&project.pipeline, kinds, &project.store, targets, project.last.as_ref()).map_err(|problems| {
        diagnostic::print(&problems.0);
        Stop::Mistake
    })
}
