//! The `pipe` program: the command line over the standard library's kinds.

use std::process::ExitCode;

fn main() -> ExitCode {
    match pipe_stdlib::kinds() {
        Ok(kinds) => pipe_cli::main(kinds),
        Err(_) => ExitCode::FAILURE,
    }
}
