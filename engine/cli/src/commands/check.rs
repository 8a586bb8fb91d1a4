//! `pipe check`.

use serde_json::json;

use crate::args::{Format, QueryArgs};
use crate::number::counted;
use crate::project::{Project, Settings, Unusable, split_words};
use crate::{Program, Stop, diagnostic, output};

pub(crate) fn check(program: &Program, args: &QueryArgs) -> Result<(), Stop> {
    let json = args.format == Format::Json;
    let (file, nodes) = split_words(program, &args.file.words);
    let checked = Project::part(program, &file, nodes, &args.file.given, Settings::Given).and_then(|project| {
        pipe_core::check_params(&project.pipeline, &program.kinds).map(|()| project).map_err(Unusable::Problems)
    });
    match checked {
        Ok(project) => {
            super::targets(&project)?;
            let nodes = project.pipeline.graph.node_count();
            let name = &project.pipeline.name;
            if json {
                output::result(&format!("{}\n", json!({ "ok": true, "name": name, "nodes": nodes })))?;
            } else {
                output::result(&format!("{name}: {}, no mistakes\n", counted(nodes, "node")))?;
            }
            Ok(())
        }
        Err(Unusable::Problems(problems)) if json => {
            let problems: Vec<_> = problems.0.iter().map(diagnostic::json).collect();
            output::result(&format!("{}\n", json!({ "ok": false, "problems": problems })))?;
            Err(Stop::Mistake)
        }
        Err(error) => Err(diagnostic::unusable(&error)),
    }
}
