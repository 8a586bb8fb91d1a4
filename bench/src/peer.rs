//! Other tools, each behind a script with the same words: `bench/peers/README.md`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Failure, command};

/// A tool that is installed.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its name.
    pub(crate) name: String,
    /// Its name and version.
    pub(crate) version: String,
    script: PathBuf,
}

impl Peer {
    /// Those of the tools that are installed.
    pub(crate) fn installed(wanted: &[String]) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let find = |name: &String| {
            let script = folder.join(format!("{name}.sh"));
            let out = Command::new(&script).arg("version").output().ok()?;
            let version = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            if !out.status.success() {
                eprintln!("{name} is not installed");
            }
            out.status.success().then(|| Self { name: name.clone(), version, script })
        };
        wanted.iter().filter_map(find).collect()
    }

    /// Lets it prepare the work: `photos` or `nodes N deep|wide`.
    pub(crate) fn prepare(&self, folder: &Path, what: &str, more: &[&str]) -> Result<(), Failure> {
        command::time(Command::new(&self.script).arg(what).arg(folder).args(more)).map(drop)
    }

    /// Brings the folder's work up to date.
    pub(crate) fn run(&self, folder: &Path) -> Result<Duration, Failure> {
        command::time(Command::new(&self.script).arg("run").arg(folder))
    }
}
