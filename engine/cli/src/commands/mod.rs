//! The commands, a file each.

pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod expand;
pub(crate) mod explain;
pub(crate) mod format;
pub(crate) mod gc;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod models;
pub(crate) mod nodes;
pub(crate) mod pin;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod shells;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod why;

use petgraph::graph::NodeIndex;
use pipe_core::{Context, Plan};
use pipe_lang::Problems;

use crate::project::Project;
use crate::{Stop, diagnostic};

/// The nodes named on the command line.
fn targets(project: &Project) -> Result<Vec<NodeIndex>, Stop> {
    let mut targets = Vec::new();
    for name in &project.nodes {
        match project.pipeline.select(name) {
            Ok(found) => targets.extend(found),
            Err(near) => {
                if project.pipeline.off.iter().any(|off| off.name == *name) {
                    diagnostic::error(&format!("`{name}` is switched off"), Some("its `when` is false"));
                    return Err(Stop::Mistake);
                }
                return Err(no_node(project, name, near));
            }
        }
    }
    Ok(targets)
}

/// Tells that a word names no node, and which nearly does.
fn no_node(project: &Project, word: &str, near: Option<&str>) -> Stop {
    let names = project.pipeline.graph.node_weights().map(|node| node.name.as_str());
    let hint = near.map_or_else(|| pipe_lang::listed("nodes", names), |near| format!("did you mean `{near}`?"));
    diagnostic::error(&format!("there is no node `{word}`"), Some(&hint));
    Stop::Mistake
}

/// Plans a project.
fn plan_of(context: Context<'_>, targets: &[NodeIndex]) -> Result<Plan, Stop> {
    Plan::new(context, targets).map_err(mistakes)
}

/// Tells all that is wrong with a pipeline.
fn mistakes(problems: Problems) -> Stop {
    diagnostic::print(&problems.0);
    Stop::Mistake
}
