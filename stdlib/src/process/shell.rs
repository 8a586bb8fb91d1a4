//! `shell`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pipe_core::{Artifact, Failure, Files, Inputs, Job, Kind, Whole};
use pipe_spec::{More, TreePath, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Running, shell, tail, validate, working_folder};

/// The least and the longest pause between two looks at a command; between these, an eighth of
/// the time that it has run.
const PAUSE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(20));

/// Runs a command and keeps the files that it writes.
///
/// The command runs in `sh`, in the folder of the file that the node is written in. It writes into the folder
/// `$out`, which is new and empty. Each input is a variable of its name that holds the path of a
/// file, or of a folder where there are several: with `from: { table: split }` it is `$table`, with
/// `from: split` it is `$split`. What is gathered from a matrix is a folder of them, each under the
/// values that tell it apart: `from: { models: "head[*]" }`. Inputs are written as `pipe restore`
/// writes them and may only be read. Files of the project that the command reads belong into `code`
/// or `inputs`: it runs again when their content changes. A file that it reads unsaid may change
/// unnoticed, and so may the variables of the environment that it was started in: those in `env`
/// count.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The command, as it would be typed.
    pub command: String,
    /// Scripts and programs that it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<TreePath>,
    /// Files and folders that it reads: tables, settings.
    #[serde(default)]
    pub inputs: Vec<TreePath>,
    /// Files and folders in `$out` that are kept; all when none are named.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Variables of the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The folder that it runs in, as seen from that of the file that the node is written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Seconds that it may take before it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub timeout: Option<f64>,
    /// How often it is tried again when it fails, in a new `$out`.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub retries: u32,
}

impl Kind for Shell {
    const NAME: &'static str = "shell";
    const VERSION: u32 = 1;
    type Inputs = More;
    type Outputs = types::Files;
    const OUTPUTS: &'static [&'static str] = &["files"];
    const NOT_OF_KEY: &'static [&'static str] = &["timeout", "retries"];

    fn validate(&self) -> Result<(), Failure> {
        validate(&self.command, &self.env, self.timeout)?;
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
        let mut variables = self.env.clone();
        let names: Vec<&str> = inputs.names().map(|name| name.split('[').next().unwrap_or(name)).collect();
        names.into_iter().try_for_each(|name| variable(name).map(drop))?;
        for (name, path) in place(inputs, &given)? {
            variables.insert(variable(name)?, path.to_string_lossy().into_owned());
        }
        variables.insert("out".to_owned(), out.to_string_lossy().into_owned());
        let file = File::create(&log).map_err(refused)?;
        let mut attempt = 0;
        let files = loop {
            match self.attempt(&variables, &file, job).and_then(|()| self.written(&out)) {
                Ok(files) => break files,
                Err(failure) if failure.is_interrupt() => return Err(failure),
                Err(failure) if attempt < self.retries => {
                    attempt += 1;
                    job.note(format!("{}; attempt {} of {}", first_line(&failure), attempt + 1, self.retries + 1));
                    clear(&out).map_err(refused)?;
                }
                Err(failure) => {
                    let text = fs::read(&log).map_err(refused)?;
                    job.keep_log(&text)?;
                    return Err(failure.more(&tail(&text)));
                }
            }
        };
        let text = fs::read(&log).map_err(refused)?;
        if !text.is_empty() {
            job.keep_log(&text)?;
        }
        let mut named = BTreeMap::new();
        for path in files {
            let name = name_of(path.strip_prefix(&out).unwrap_or(&path))?;
            named.insert(name, job.store.take_file(&path)?);
        }
        Ok(vec![Artifact::Files(Files { files: named })])
    }
}

/// What a file is called inside `$out`, with `/` between folders.
fn name_of(path: &Path) -> Result<String, Failure> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/")).ok_or_else(|| {
        Failure::new(
            "pipe::command",
            format!("the command left `{}` in `$out`, whose name is not UTF-8", path.display()),
        )
        .param("command")
        .help("give it another name")
    })
}

/// Writes the inputs into a folder, and tells each one's path by its name: those that were gathered
/// under one name lie in a folder of it.
fn place<'i>(inputs: &'i Inputs<'_>, given: &Path) -> Result<BTreeMap<&'i str, PathBuf>, Failure> {
    let mut places = BTreeMap::new();
    for name in inputs.names() {
        match name.split_once('[') {
            None => drop(places.insert(name, inputs.place(name, given, name)?)),
            Some((port, label)) => {
                let folder = given.join(port);
                fs::create_dir_all(&folder).map_err(refused)?;
                inputs.place(name, &folder, label.trim_end_matches(']'))?;
                places.insert(port, folder);
            }
        }
    }
    Ok(places)
}

fn refused(error: io::Error) -> Failure {
    Failure::new("pipe::store", format!("cannot prepare the command's folder: {error}"))
        .help("see that the disk has room and the store may be written")
}

fn first_line(failure: &Failure) -> &str {
    failure.message().lines().next().unwrap_or_default()
}

fn clear(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder)?;
    fs::create_dir(folder)
}

impl Shell {
    /// Runs the command once.
    fn attempt(&self, variables: &BTreeMap<String, String>, log: &File, job: &Job<'_>) -> Result<(), Failure> {
        let folder = working_folder(self.cwd.as_deref(), job)?;
        let mut command = shell(&self.command, &folder, variables);
        command.stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(refused)?).stderr(log.try_clone().map_err(refused)?);
        let mut running = Running::start(&mut command)?;
        let status = self.wait(&mut running, job)?;
        running.clear();
        if status.success() {
            return Ok(());
        }
        Err(Failure::new("pipe::command", format!("the command ended with {status}")).param("command"))
    }

    /// Waits for the command; an interrupt or the end of its time stops it and all that it started.
    fn wait(&self, running: &mut Running, job: &Job<'_>) -> Result<ExitStatus, Failure> {
        let lost = |error: io::Error| Failure::new("pipe::command", format!("cannot wait for the command: {error}"));
        let began = Instant::now();
        loop {
            if let Some(status) = running.ended().map_err(lost)? {
                return Ok(status);
            }
            if let Err(interrupted) = job.checkpoint() {
                running.stop();
                return Err(interrupted);
            }
            if let Some(timeout) = self.timeout.filter(|timeout| began.elapsed().as_secs_f64() > *timeout) {
                running.stop();
                let message = format!("the command took longer than {timeout} s and was stopped");
                return Err(Failure::new("pipe::command", message).param("timeout"));
            }
            thread::sleep((began.elapsed() / 8).clamp(PAUSE.0, PAUSE.1));
        }
    }

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
