//! `pipe nodes`.

use serde_json::json;

use crate::args::{Format, NodesArgs};
use crate::{Program, Stop, diagnostic, markdown, output, table};

pub(crate) fn nodes(program: &Program, args: &NodesArgs) -> Result<(), Stop> {
    let specs = program.kinds.specs();
    let chosen: Vec<_> =
        specs.iter().filter(|spec| args.kind.as_deref().is_none_or(|kind| spec.name == kind)).collect();
    if let (Some(kind), true) = (&args.kind, chosen.is_empty()) {
        let near = pipe_lang::closest(kind, specs.iter().map(|spec| spec.name));
        let hint = near.map_or_else(|| "`pipe nodes` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
        diagnostic::error(&format!("there is no kind `{kind}`"), Some(&hint));
        return Err(Stop::Mistake);
    }
    if args.format == Format::Json {
        let ports = |ports: &[pipe_spec::Port]| -> Vec<_> {
            ports.iter().map(|port| json!({ "name": port.name, "type": port.artifact })).collect()
        };
        let kinds: Vec<_> = chosen
            .iter()
            .map(|spec| {
                json!({
                    "name": spec.name, "version": spec.version, "doc": spec.doc, "inputs": ports(&spec.inputs),
                    "outputs": ports(&spec.outputs), "per_item": spec.per_item, "params": spec.schema,
                })
            })
            .collect();
        output::result(&format!("{:#}\n", json!(kinds)))?;
    } else if args.kind.is_some() {
        for spec in chosen {
            output::result(&markdown::kind(spec))?;
        }
    } else {
        let rows: Vec<_> = chosen.iter().map(|spec| vec![spec.name.to_owned(), spec.summary().to_owned()]).collect();
        output::result(&table::table(&["kind", "what it does"], &rows))?;
    }
    Ok(())
}
