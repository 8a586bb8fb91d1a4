//! What the end-to-end tests share: a project in a temporary folder, and the program run in it.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod hashed;
pub(crate) mod photos;
pub(crate) mod server;
pub(crate) mod weights;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::SafeTensors;
use serde_json::Value;
use sha1::{Digest, Sha1};
use tempfile::TempDir;

/// A folder with a pipeline in it.
pub(crate) struct Project {
    folder: TempDir,
}

/// What the program did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::with_prefix("pipe-test-").unwrap() }
    }

    /// A project whose `pipe.yaml` holds this text.
    pub(crate) fn with(yaml: &str) -> Self {
        let project = Self::new();
        project.write("pipe.yaml", yaml);
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The features in an exported file.
    pub(crate) fn features(&self, name: &str) -> Vec<f32> {
        let bytes = fs::read(self.path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor("features").unwrap();
        tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The program with these words, ready to be started in the folder.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipe"));
        command.args(words).current_dir(self.folder.path());
        command.env_remove("PIPE_STORE").env_remove("PIPE_DEVICE").env("NO_COLOR", "1");
        command
    }

    pub(crate) fn pipe(&self, words: &[&str]) -> Ran {
        Ran::from(self.command(words).output().unwrap())
    }

    /// Runs and wants success.
    pub(crate) fn ok(&self, words: &[&str]) -> Ran {
        let ran = self.pipe(words);
        assert_eq!(ran.code, 0, "pipe {words:?} failed\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// `pipe run --format json` and its last event.
    pub(crate) fn finished(&self, words: &[&str]) -> Value {
        let ran = self.pipe(&[&["run", "--format", "json"], words].concat());
        let last = ran.stdout.lines().last().unwrap_or_else(|| panic!("no events\n{}", ran.stderr));
        let event: Value = serde_json::from_str(last).unwrap();
        assert_eq!(event["event"], "finished", "{}", ran.stderr);
        event
    }

    /// Every file below a folder with its bytes, by its path in the project.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.path(folder)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.is_file() {
                let name = path.strip_prefix(self.folder.path()).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
        found
    }

    /// Puts other bytes into a file of the store, which is read-only.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path(path.to_str().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Puts a photo into an object tree and gives its name.
    pub(crate) fn object(&self, tree: &str, bytes: &[u8]) -> String {
        let name = format!("{}.jpg", sha1(bytes));
        self.write(&format!("{tree}/{}/{}/{name}", &name[..2], &name[2..4]), bytes);
        name
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub(crate) fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A committed output of the scripts in `tests/reference`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn json_fixture(name: &str) -> Value {
    serde_json::from_slice(&fixture(name)).unwrap()
}

/// The folder of real photos and weights beside the checkout, or `PIPE_TEST_DATA`; a test without
/// it says that it was skipped.
pub(crate) fn real_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("PIPE_TEST_DATA").map_or(beside, PathBuf::from);
    if folder.join("dev-containers/label.csv").is_file() {
        return folder.canonicalize().ok();
    }
    eprintln!("SKIPPED: no real photos at {}; PIPE_TEST_DATA names another folder", folder.display());
    None
}

pub(crate) fn floats(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(floats).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// The greatest distance, against the greatest number.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let greatest = a.iter().fold(0.0_f32, |greatest, x| greatest.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / greatest
}
