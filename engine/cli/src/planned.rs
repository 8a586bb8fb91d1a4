//! What a plan says of a node, in words.

use pipe_core::{PlannedNode, Status};

use crate::number::count;

/// Why it runs, or what of it is there.
pub(crate) fn detail(node: &PlannedNode) -> String {
    let mut parts = Vec::new();
    match &node.status {
        Status::Run(reason) => parts.push(reason.clone()),
        Status::Blocked(reason) => parts.push(reason.clone()),
        Status::Failed(failure) => parts.push(failure.message().to_owned()),
        Status::Cached => {}
    }
    if let Some((total, cached)) = node.items {
        parts.push(format!("{} cached, {} to compute", count(cached), count(total - cached)));
    }
    if let Some(into) = &node.streams_into {
        parts.push(format!("streams into `{into}`, not stored"));
    }
    parts.join("; ")
}
