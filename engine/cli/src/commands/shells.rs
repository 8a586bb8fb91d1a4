//! `pipe completions` and `pipe man`.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::env::Shells;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::{Stop, completion, diagnostic, output};

/// Writes what a shell runs to have `pipe` complete its words.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Stop> {
    let shells = Shells::builtins();
    let name = args.shell.name();
    let mut script = Vec::new();
    let written = match shells.completer(name) {
        Some(shell) => shell.write_registration(completion::VARIABLE, "pipe", "pipe", "pipe", &mut script),
        None => Ok(()),
    };
    match written {
        Ok(()) => output::result(&String::from_utf8_lossy(&script)),
        Err(error) => {
            diagnostic::error(&format!("cannot write the script: {error}"), None);
            Err(Stop::Failed)
        }
    }
}

/// Writes the man pages of all commands into a folder, or that of the program to stdout.
pub(crate) fn man(args: &ManArgs) -> Result<(), Stop> {
    let mut page = Vec::new();
    let (written, folder) = match &args.folder {
        Some(folder) => (
            std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Args::command(), folder)),
            folder.clone(),
        ),
        None => (clap_mangen::Man::new(Args::command()).render(&mut page), PathBuf::new()),
    };
    match written {
        Ok(()) if args.folder.is_some() => output::result(&format!("wrote man pages into {}\n", folder.display())),
        Ok(()) => output::result(&String::from_utf8_lossy(&page)),
        Err(error) => {
            diagnostic::error(&format!("cannot write the pages: {error}"), None);
            Err(Stop::Failed)
        }
    }
}
