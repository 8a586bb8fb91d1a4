//! Running and timing commands.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::Failure;

/// Runs a command to its end, quietly, and gives the time that it took.
pub(crate) fn time(command: &mut Command) -> Result<Duration, Failure> {
    let began = Instant::now();
    let out = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    let took = began.elapsed();
    if out.status.success() {
        return Ok(took);
    }
    Err(format!("{command:?} ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr)).into())
}

/// The middle of several times.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// `pipe run` in a folder, and its last event.
pub(crate) fn pipe(program: &Path, folder: &Path, words: &[&str]) -> Result<(Duration, Value), Failure> {
    let mut command = Command::new(program);
    command.args(["run", "--format", "json"]).args(words).current_dir(folder).env_remove("PIPE_STORE");
    let began = Instant::now();
    let out = command.stdin(Stdio::null()).output()?;
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&out.stdout);
    let last = text.lines().last().ok_or_else(|| String::from_utf8_lossy(&out.stderr).into_owned())?;
    let event: Value = serde_json::from_str(last)?;
    if event["ok"] == true { Ok((took, event)) } else { Err(String::from_utf8_lossy(&out.stderr).into()) }
}

/// The greatest memory that a command takes, in KiB.
pub(crate) fn memory_of(program: &Path, folder: &Path) -> Result<u64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("memory").arg(program).arg("run").current_dir(folder);
    let out = command.stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text.lines().last().unwrap_or_default().trim().parse()?)
}

/// Runs a command and prints the greatest memory that it took, in KiB.
pub(crate) fn memory(command: &[String]) -> Result<(), Failure> {
    let (program, words) = command.split_first().ok_or("no command")?;
    time(Command::new(program).args(words))?;
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}
