//! `pipe schema`.

use crate::{Program, Stop, output};

pub(crate) fn schema(program: &Program) -> Result<(), Stop> {
    output::result(&format!("{:#}\n", pipe_lang::schema(program.kinds.language())))
}
