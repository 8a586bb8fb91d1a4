//! `pipe clean`.

use pipe_core::clean as forget;
use serde_json::json;

use crate::args::{CleanArgs, Format};
use crate::number::counted;
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic, output};

pub(crate) fn clean(program: &Program, args: &CleanArgs) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    if targets.is_empty() {
        diagnostic::error("which node?", Some("name one or more: `pipe clean NODE`"));
        return Err(Stop::Mistake);
    }
    let context = project.context(program, false);
    let forgotten = super::gc::alone(&project.store, |alone| Ok(forget(context, &targets, alone)))?;
    let items = forgotten.map_err(super::mistakes)?.map_err(|error| diagnostic::store(&error))?;
    if args.format == Format::Json {
        let value = json!({ "nodes": project.nodes, "items": items });
        return output::result(&format!("{value:#}\n"));
    }
    let items = if items > 0 { format!(" and {}", counted(items, "item")) } else { String::new() };
    output::result(&format!("forgot {}{items}; the next run computes again\n", project.nodes.join(", ")))
}
