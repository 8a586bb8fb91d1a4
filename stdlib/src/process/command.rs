//! Starting commands and stopping them with all that they started.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use pipe_core::{Failure, Job};

use super::guard::{self, Watched};

/// How long a command may take to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(1);
/// The pause between two looks at a command that was asked to end.
const PAUSE: Duration = Duration::from_millis(20);
/// Lines of a command's output that a failure shows.
pub(super) const TAIL: usize = 20;

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    _watched: Watched,
}

/// `sh -c COMMAND` in a folder, with these variables besides those of the program.
pub(super) fn shell(text: &str, folder: &Path, env: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text).current_dir(folder).envs(env);
    // A group of its own, so that all that it starts can be stopped.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self, Failure> {
        let (child, _watched) = guard::spawn(command)
            .map_err(|error| Failure::new("pipe::command", format!("cannot start `sh`: {error}")).param("command"))?;
        Ok(Self { child, _watched })
    }

    /// How it ended, once it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Stops it and all that it started.
    pub(super) fn stop(&mut self) {
        self.signal(false);
        for _ in 0..GRACE.as_millis() / PAUSE.as_millis() {
            if matches!(self.ended(), Ok(Some(_))) {
                break;
            }
            thread::sleep(PAUSE);
        }
        self.signal(true);
        let _ = self.child.wait();
    }

    /// Stops what it left running behind it.
    pub(super) fn clear(&mut self) {
        self.signal(true);
    }

    #[cfg(unix)]
    fn signal(&mut self, kill: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // One that ended by itself just now cannot be stopped.
            let _ = kill_process_group(group, signal);
        }
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _kill: bool) {
        let _ = self.child.kill();
    }
}

/// The folder that a command runs in.
pub(super) fn working_folder(cwd: Option<&str>, job: &Job<'_>) -> Result<PathBuf, Failure> {
    let folder = cwd.map_or_else(|| job.folder().to_owned(), |cwd| job.folder().join(cwd));
    if folder.is_dir() {
        return Ok(folder);
    }
    let message = format!("there is no folder {}", folder.display());
    let help = "`cwd` is a folder as seen from that of the file that the node is written in";
    Err(Failure::new("pipe::command", message).param("cwd").help(help))
}

/// Checks that names can be variables of the environment, and that a time is one.
pub(super) fn validate(command: &str, env: &BTreeMap<String, String>, timeout: Option<f64>) -> Result<(), Failure> {
    if command.trim().is_empty() {
        return Err(Failure::new("pipe::invalid_param", "the command is empty").param("command"));
    }
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        let message = format!("`{name}` cannot be a variable of the environment");
        return Err(Failure::new("pipe::invalid_param", message).param(format!("env.{name}")));
    }
    if timeout.is_some_and(|timeout| Duration::try_from_secs_f64(timeout).is_err()) {
        return Err(Failure::new("pipe::invalid_param", "the timeout is not a time").param("timeout"));
    }
    Ok(())
}

/// The last lines of what a command wrote, each behind two spaces.
pub(super) fn tail(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    // Without what would move the cursor or change colours.
    let shown = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>();
    lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("\n  {}", shown(line))).collect()
}
