//! A command that is kept running and given items as JSON lines.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use image::guess_format;
use pipe_core::ItemError;
use serde_json::{Value, json};

use super::command::{Running, shell};
use super::workshop::{Answer, Workshop};

/// How often a wait looks up whether the run is to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How long a worker may take to end when there are no more items.
const GRACE: Duration = Duration::from_secs(2);
/// Items that broke a new worker one after another, after which it is the command that is broken.
const DEATHS: usize = 3;

/// Gives items to a command, started when first needed and again after it died.
pub(super) struct Worker {
    workshop: Arc<Workshop>,
    /// A number that tells its files from those of other workers.
    number: usize,
    process: Option<Process>,
    next_id: u64,
}

struct Process {
    running: Running,
    /// What it is to read; it ends when this is dropped.
    questions: Sender<String>,
    lines: Receiver<String>,
    /// The folder that it may write images into.
    out: PathBuf,
}

impl Worker {
    pub(super) fn new(workshop: Arc<Workshop>, number: usize) -> Self {
        Self { workshop, number, process: None, next_id: 0 }
    }

    /// Has items computed: all at once, then those that failed one by one, as often as they are
    /// to be tried again.
    pub(super) fn compute(&mut self, items: &[Vec<u8>]) -> Vec<Answer> {
        let mut answers = self.batch(&items.iter().collect::<Vec<_>>());
        for _ in 0..self.workshop.retries {
            for (answer, item) in answers.iter_mut().zip(items) {
                if answer.is_err() && !self.workshop.has_stopped() {
                    *answer = self.batch(&[item]).pop().unwrap_or_else(|| Err("no answer".into()));
                }
            }
        }
        answers
    }

    /// Gives the command a batch and takes its answers.
    fn batch(&mut self, items: &[&Vec<u8>]) -> Vec<Answer> {
        if let Some(broken) = self.workshop.broken() {
            return vec![Err(broken); items.len()];
        }
        let mut answers: Vec<Option<Answer>> = vec![None; items.len()];
        let result = self.ask(items, &mut answers);
        if let Err(reason) = &result {
            // What it was at when it died is not known to be done.
            self.process = None;
            let died_first = items.len() == 1 && answers.iter().all(Option::is_none);
            self.workshop.note_death(died_first, reason, DEATHS);
        } else {
            self.workshop.note_life();
        }
        // With another try, or more time, it may be done.
        let lost = ItemError { reason: result.err().unwrap_or_default(), passing: true };
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(lost.clone()))).collect()
    }

    fn ask(&mut self, items: &[&Vec<u8>], answers: &mut [Option<Answer>]) -> Result<(), String> {
        let first = self.next_id;
        self.next_id += items.len() as u64;
        let folder = self.workshop.folder.join(self.number.to_string());
        let made = || -> std::io::Result<Vec<PathBuf>> {
            fs::create_dir_all(&folder)?;
            let place = |(at, item): (usize, &&Vec<u8>)| {
                // Named by what they hold alone, so that nothing but that can matter to what comes of them.
                let ending = guess_format(item).ok().and_then(|format| format.extensions_str().first());
                let name = ending.map_or_else(|| at.to_string(), |ending| format!("{at}.{ending}"));
                let path = folder.join(name);
                fs::write(&path, item).map(|()| path)
            };
            items.iter().enumerate().map(place).collect()
        };
        let paths = made().map_err(|error| format!("cannot write the item for the command: {error}"))?;
        let answered = self.exchange(&paths, first, answers);
        for path in &paths {
            // What is left goes with the folder.
            let _ = fs::remove_file(path);
        }
        answered
    }

    fn exchange(&mut self, paths: &[PathBuf], first: u64, answers: &mut [Option<Answer>]) -> Result<(), String> {
        let workshop = self.workshop.clone();
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(Process::start(&workshop, self.number)?),
        };
        let mut lines = String::new();
        for (at, path) in paths.iter().enumerate() {
            let line = json!({ "id": first + at as u64, "path": path });
            lines.push_str(&format!("{line}\n"));
        }
        lines.push('\n');
        let began = Instant::now();
        if process.questions.send(lines).is_err() {
            return Err(process.death(&workshop));
        }
        let mut missing: HashMap<u64, usize> = (0..paths.len()).map(|at| (first + at as u64, at)).collect();
        while !missing.is_empty() {
            let line = match process.lines.recv_timeout(LOOK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return Err(process.death(&workshop)),
                Err(RecvTimeoutError::Timeout) if workshop.has_stopped() => {
                    process.running.stop();
                    return Err("the run was stopped".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(timeout) = workshop.timeout.filter(|timeout| began.elapsed() > *timeout) {
                        process.running.stop();
                        return Err(format!("the command did not answer within {} s", timeout.as_secs_f64()));
                    }
                    // Something that it started may hold its output open.
                    if matches!(process.running.ended(), Ok(Some(_))) {
                        return Err(process.death(&workshop));
                    }
                    continue;
                }
            };
            let shown: String = line.chars().take(80).collect();
            let answer: Value = match serde_json::from_str(&line) {
                Ok(answer) => answer,
                Err(_) => {
                    process.running.stop();
                    return Err(format!("the command answered `{shown}`, which is not JSON"));
                }
            };
            let Some(at) = answer["id"].as_u64().and_then(|id| missing.remove(&id)) else {
                process.running.stop();
                return Err(format!("the command answered `{shown}`, which is no answer to an item"));
            };
            answers[at] = Some(match answer["error"].as_str() {
                Some(error) => Err(error.into()),
                None => workshop.take(&answer, &process.out),
            });
        }
        Ok(())
    }
}

impl Process {
    fn start(workshop: &Workshop, number: usize) -> Result<Self, String> {
        let out = workshop.folder.join(format!("out-{number}"));
        fs::create_dir_all(&out).map_err(|error| format!("cannot make a folder for the command: {error}"))?;
        let mut env = workshop.env.clone();
        env.insert("out".to_owned(), out.to_string_lossy().into_owned());
        let log = File::options().create(true).append(true).open(workshop.log());
        let log = log.map_err(|error| format!("cannot keep what the command writes: {error}"))?;
        let mut command = shell(&workshop.command, &workshop.cwd, &env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut running = Running::start(&mut command).map_err(|failure| failure.message().to_owned())?;
        let stdin = running.child.stdin.take().ok_or("the command has no input")?;
        let stdout = running.child.stdout.take().ok_or("the command has no output")?;
        Ok(Self { questions: write(stdin), lines: read(stdout), running, out })
    }

    /// Why it answers no more.
    fn death(&mut self, workshop: &Workshop) -> String {
        // Its output is closed, so it is about to end, if it has not.
        let began = Instant::now();
        let mut ended = None;
        while ended.is_none() && began.elapsed() < GRACE {
            ended = self.running.ended().ok().flatten();
            thread::sleep(Duration::from_millis(1));
        }
        let how = match ended {
            Some(status) => format!("the command ended with {status}"),
            None => {
                self.running.stop();
                "the command closed its output".to_owned()
            }
        };
        let log = fs::read(workshop.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(|| how.clone(), |last| format!("{how}: {}", last.trim()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // At the end of its input it is to end.
        let (nobody, _) = channel();
        self.questions = nobody;
        let began = Instant::now();
        while matches!(self.running.ended(), Ok(None)) {
            if began.elapsed() > GRACE {
                self.running.stop();
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Writes on a thread of its own: a command that does not read would hold up a wait for its answers.
fn write(mut stdin: ChildStdin) -> Sender<String> {
    let (send, receive) = channel::<String>();
    thread::spawn(move || {
        for lines in receive {
            if stdin.write_all(lines.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
    send
}

/// Reads lines on a thread of its own, so that a wait for one can end.
fn read(stdout: ChildStdout) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if !text.is_empty() && send.send(text).is_err() {
                return;
            }
        }
    });
    receive
}
