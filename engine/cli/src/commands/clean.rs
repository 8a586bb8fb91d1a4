//! `pipe clean`.

use pipe_core::{Kinds, clean as forget};
use serde_json::json;

use crate::args::{CleanArgs, Format};
use crate::number::counted;
use crate::project::{Project, Settings};
use crate::{Stop, diagnostic, output};

pub(crate) fn clean(kinds: &Kinds, args: &CleanArgs) -> Result<(), Stop> {
    let project = Project::open(kinds, &args.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    if targets.is_empty() {
        diagnostic::error("which node?", Some("name one or more: `pipe clean NODE`"));
        return Err(Stop::Mistake);
    }
    let context = project.context(kinds, false);
    let mut refused = None;
    let items = super::gc::alone(&project.store, |alone| match forget(context, &targets, alone) {
        Ok(items) => items,
        Err(problems) => {
            refused = Some(problems);
            Ok(0)
        }
    })?;
    if let Some(problems) = refused {
        return Err(super::mistakes(problems));
    }
    if args.format == Format::Json {
        let value = json!({ "nodes": project.nodes, "items": items });
        return output::result(&format!("{value:#}\n"));
    }
    let items = if items > 0 { format!(" and {}", counted(items, "item")) } else { String::new() };
    output::result(&format!("forgot {}{items}; the next run computes again\n", project.nodes.join(", ")))
}
