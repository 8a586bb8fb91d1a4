//! Forgets what nodes gave, so that they run again.

use petgraph::graph::NodeIndex;
use pipe_lang::Problems;
use pipe_store::{StoreError, UseLock};

use crate::graph::Graph;
use crate::{Context, Plan, history};

/// Forgets the results of these nodes, the items of those that work item by item too; says how many
/// items. `alone` shows that nobody else uses the store.
///
/// # Errors
/// Params that do not fit one another, or what the file system refuses.
pub fn clean(
    context: Context<'_>,
    nodes: &[NodeIndex],
    alone: &UseLock,
) -> Result<Result<usize, StoreError>, Problems> {
    let graph = Graph::new(context, &[])?;
    let plan = Plan::of(&graph);
    let forget = || {
        let mut items = 0;
        for &index in nodes {
            let name = graph.name(index);
            let now = plan.node(index).and_then(|node| node.manifest.as_ref()).map(|manifest| manifest.key());
            for key in now.into_iter().chain(graph.last_result(index).map(|result| result.key)) {
                context.store.remove_document("nodes", &key.to_string());
            }
            history::forget_last(context.store, context.file, name)?;
            if let Some((_, keys)) = graph.item_keys(index, &plan.known(&graph)) {
                items += context.store.forget_items(&keys.into_iter().collect(), alone)?;
            }
        }
        Ok(items)
    };
    Ok(forget())
}
