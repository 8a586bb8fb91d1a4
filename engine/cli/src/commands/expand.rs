//! `pipe expand`.

use pipe_builder::Builder;

use crate::args::FileOnlyArgs;
use crate::project::{Project, Settings};
use crate::{Program, Stop, diagnostic, output};

/// Prints a pipeline as plain nodes: sub-pipelines put in, matrices fanned out, params filled in.
pub(crate) fn expand(program: &Program, args: &FileOnlyArgs) -> Result<(), Stop> {
    let project = Project::open(program, &args.file, Settings::Given).map_err(|error| diagnostic::unusable(&error))?;
    output::result(&Builder::of(&project.pipeline).to_yaml(&program.kinds))
}
