//! `pipe init`.

use std::fs::OpenOptions;
use std::io::Write;

use crate::args::InitArgs;
use crate::starter::STARTER;
use crate::{Stop, diagnostic, output};

pub(crate) fn init(args: &InitArgs) -> Result<(), Stop> {
    let name = args.file.display();
    let written = OpenOptions::new().write(true).create_new(true).open(&args.file);
    let written = written.and_then(|mut file| file.write_all(STARTER.as_bytes()));
    match written {
        Ok(()) => {
            let file = if args.file.as_os_str() == "pipe.yaml" { String::new() } else { format!(" {name}") };
            output::result(&format!("wrote {name}; run it with `pipe run{file}`\n"))?;
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            diagnostic::error(&format!("{name} is there already"), Some("name another file: `pipe init FILE`"));
            Err(Stop::Mistake)
        }
        Err(error) => {
            diagnostic::error(&format!("cannot write {name}: {error}"), None);
            Err(Stop::Failed)
        }
    }
}
