//! `shell`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pipe_core::{Artifact, Failure, Files, Inputs, Job, Kind, Whole};
use pipe_spec::{More, TreePath, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lines of a command's output that a failure shows.
const TAIL: usize = 20;
/// The least and the longest pause between two looks at a command; between these, an eighth of
/// the time that it has run.
const PAUSE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(20));

/// Runs a command and keeps the files that it writes.
///
/// The command runs in `sh`, in the folder of the pipeline's file. It writes into the folder
/// `$out`, which is new and empty. Each input is a variable of its name that holds the path of a
/// file, or of a folder where there are several: with `from: { table: split }` it is `$table`, with
/// `from: split` it is `$split`. Inputs are written as `pipe restore` writes them and may only be
/// read. Files of the project that the command reads belong into `inputs`: it runs again when their
/// content changes. A file that it reads unsaid may change unnoticed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shell {
    /// The command, as it would be typed.
    command: String,
    /// Files and folders that it reads: scripts, tables, settings.
    #[serde(default)]
    inputs: Vec<TreePath>,
    /// Files and folders in `$out` that are kept; all when none are named.
    #[serde(default)]
    outputs: Vec<String>,
}

impl Kind for Shell {
    const NAME: &'static str = "shell";
    const VERSION: u32 = 1;
    type Inputs = More;
    type Outputs = types::Files;
    const OUTPUTS: &'static [&'static str] = &["files"];

    fn validate(&self) -> Result<(), Failure> {
        if self.command.trim().is_empty() {
            return Err(Failure::new("pipe::invalid_param", "the command is empty").param("command"));
        }
        for (at, output) in self.outputs.iter().enumerate() {
            let path = Path::new(output);
            let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
            if output.is_empty() || !inside {
                return Err(Failure::new(
                    "pipe::invalid_param",
                    format!("the output `{output}` does not lie in `$out`"),
                )
                .param(format!("outputs[{at}]"))
                .help("name it as it is called inside `$out`, such as `model/weights.bin`"));
            }
        }
        Ok(())
    }
}

impl Whole for Shell {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let work = job.store.work_folder()?;
        let [given, out, log] = ["in", "out", "log"].map(|name| work.path().join(name));
        let refused = |error: io::Error| {
            Failure::new("pipe::store", format!("cannot prepare the command's folder: {error}"))
                .help("see that the disk has room and the store may be written")
        };
        let mut variables = vec![("out".to_owned(), out.clone())];
        for name in inputs.names() {
            variables.push((variable(name)?, inputs.place(name, &given)?));
        }
        let file = File::create(&log).map_err(refused)?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command).current_dir(job.folder()).envs(variables).stdin(Stdio::null());
        command.stdout(file.try_clone().map_err(refused)?).stderr(file);
        // A group of its own, so that all that it starts can be stopped.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .spawn()
            .map_err(|error| Failure::new("pipe::command", format!("cannot start `sh`: {error}")).param("command"))?;
        let status = wait(child, job)?;
        let text = fs::read(&log).map_err(refused)?;
        if !status.success() {
            return Err(failed(status, &text));
        }
        if !text.is_empty() {
            job.keep_log(&text)?;
        }
        let mut files = BTreeMap::new();
        for path in self.written(&out)? {
            let name = path.strip_prefix(&out).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.insert(name, job.store.take_file(&path)?);
        }
        Ok(vec![Artifact::Files(Files { files })])
    }
}

impl Shell {
    /// The files that are kept.
    fn written(&self, out: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        if self.outputs.is_empty() {
            walk(out, &mut found)?;
        }
        for (at, output) in self.outputs.iter().enumerate() {
            let path = out.join(output);
            let before = found.len();
            if fs::symlink_metadata(&path).is_ok() {
                walk(&path, &mut found)?;
            }
            if found.len() == before {
                return Err(Failure::new("pipe::command", format!("the command did not write `{output}`"))
                    .param(format!("outputs[{at}]"))
                    .help(format!("write it to \"$out/{output}\"")));
            }
        }
        if found.is_empty() {
            return Err(Failure::new("pipe::command", "the command wrote nothing")
                .param("command")
                .help("write the results into the folder \"$out\""));
        }
        Ok(found)
    }
}

/// The variable that an input is given in.
fn variable(input: &str) -> Result<String, Failure> {
    let name = input.replace('-', "_");
    let fits =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    let taken = ["out", "PATH", "HOME", "IFS"].contains(&name.as_str());
    if fits && !taken {
        return Ok(name);
    }
    Err(Failure::new("pipe::invalid_param", format!("the input `{input}` cannot be a variable of the command"))
        .help("give it a name of letters, digits and `_`: `from: { table: NODE }`"))
}

/// Every file below a path. Links are not followed: what they lead to is not the command's, and
/// what is kept moves into the store.
fn walk(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: io::Error| {
        Failure::new("pipe::command", format!("cannot read what the command wrote: {error}")).param("command")
    };
    let kind = fs::symlink_metadata(path).map_err(unreadable)?.file_type();
    if kind.is_file() {
        found.push(path.to_owned());
        return Ok(());
    }
    if kind.is_dir() {
        let entries = fs::read_dir(path).map_err(unreadable)?;
        let mut entries: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(unreadable)?;
        entries.sort_unstable();
        return entries.iter().try_for_each(|entry| walk(entry, found));
    }
    let what = if kind.is_symlink() { "a link" } else { "neither a file nor a folder" };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Err(Failure::new("pipe::command", format!("the command left `{name}` in `$out`, which is {what}"))
        .param("command")
        .help("leave files and folders only: `cp -rL` copies what links lead to"))
}

/// Waits for a command; an interrupt stops it and all that it started.
fn wait(mut child: Child, job: &Job<'_>) -> Result<ExitStatus, Failure> {
    let lost = |error: io::Error| Failure::new("pipe::command", format!("cannot wait for the command: {error}"));
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(status);
        }
        if let Err(interrupted) = job.checkpoint() {
            stop(&mut child);
            return Err(interrupted);
        }
        thread::sleep((began.elapsed() / 8).clamp(PAUSE.0, PAUSE.1));
    }
}

#[cfg(unix)]
fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // One that ended by itself just now cannot be stopped.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        for _ in 0..50 {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(PAUSE.1);
        }
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(not(unix))]
fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn failed(status: ExitStatus, text: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL)..];
    let mut message = format!("the command ended with {status}");
    for line in tail {
        message.push_str("\n  ");
        message.push_str(line);
    }
    if lines.is_empty() {
        message.push_str(" and wrote nothing to its terminal");
    }
    Failure::new("pipe::command", message).param("command")
}
