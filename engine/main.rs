//! The `pipe` program: the command line over the standard library's kinds.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipe::main(pipe::kinds())
}
