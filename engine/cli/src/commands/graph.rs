//! `pipe graph`.

use crate::args::{GraphArgs, GraphFormat};
use crate::graph::{Picture, dot, html, mermaid, svg};
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic, output};

/// Draws a pipeline: its nodes by what is known of their results, its edges by what flows along them.
pub(crate) fn graph(program: &Program, args: &GraphArgs) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::OrLast).map_err(|error| diagnostic::unusable(&error))?;
    let targets = super::targets(&project)?;
    let plan = super::plan_of(project.context(program, false), &targets)?;
    let picture = Picture::new(&project.pipeline, &plan);
    let Some(format) = args.format() else {
        let hint = "name a file that ends in .html, .svg, .dot or .mmd, or say `--format`";
        diagnostic::error("what to draw?", Some(hint));
        return Err(Stop::Mistake);
    };
    let text = match format {
        GraphFormat::Mermaid => mermaid::draw(&picture),
        GraphFormat::Dot => dot::draw(&picture),
        GraphFormat::Svg => svg::draw(&picture),
        GraphFormat::Html => html::draw(&picture),
    };
    let Some(file) = &args.output else { return output::result(&text) };
    match std::fs::write(file, text) {
        Ok(()) => output::result(&format!("wrote {}\n", file.display())),
        Err(error) => {
            diagnostic::error(&format!("cannot write {}: {error}", file.display()), None);
            Err(Stop::Failed)
        }
    }
}
