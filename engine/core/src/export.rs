//! Artifacts as ordinary files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pipe_lang::Export;
use pipe_spec::ArtifactType;
use pipe_store::{Digest, Store};
use pipe_world::{Trace, World};

use crate::graph::Graph;
use crate::{Artifact, Context, Failure, Files, Kinds, NodeResult, table};

/// Writes the artifact of that digest to `to`, or to a name made from `stem` where there is none;
/// gives the place.
///
/// # Errors
/// When something is there already, the artifact is lost, or the file system refuses.
pub fn restore(
    context: &Context<'_>,
    artifact_type: ArtifactType,
    digest: Digest,
    to: Option<&Path>,
    stem: &str,
) -> Result<PathBuf, Failure> {
    let artifact = context.artifact(digest).ok_or_else(|| Failure::lost("the artifact"))?;
    let to = to.map_or_else(|| PathBuf::from(default_name(artifact_type, &artifact, stem)), Path::to_owned);
    if fs::symlink_metadata(&to).is_ok() {
        let message = format!("{} is there already", to.display());
        return Err(Failure::new("pipe::in_the_way", message).help("move it away, or name another place"));
    }
    let written = |new: &Path| write(context.kinds, context.store, artifact_type, &artifact, new, Sharing::Given);
    place(&to, written, |new| fs::rename(new, &to))?;
    Ok(to)
}

/// Leaves a node's output where its `export` says, unless that is there as it was left. Nothing
/// that a person wrote there is lost: what `pipe` did not leave as it is now is in the way.
pub(crate) fn leave(graph: &Graph<'_>, export: &Export, result: &NodeResult) -> Result<(), Failure> {
    let Some(&digest) = result.outputs.get(export.output.name) else { return Ok(()) };
    let (name, threads) =
        (Digest::of(format!("export to {}", export.path.display()).as_bytes()), graph.context.threads);
    let earlier = || graph.store.world(name).and_then(|bytes| Trace::decode(&bytes));
    if earlier().is_some_and(|trace| trace.result == digest && trace.holds(threads)) {
        return Ok(());
    }
    // Of two runs that leave something at the same place, one comes after the other.
    let _lock = graph.store.lock_key(name, || true)?;
    let earlier = earlier();
    let is_left = |trace: &Trace| trace.result == digest && look(&export.path, threads) == Some(left(trace));
    if earlier.as_ref().is_some_and(is_left) {
        return remember(graph, export, name, digest);
    }
    let artifact = graph.artifacts.get(digest).ok_or_else(|| Failure::lost("an output that is to be exported"))?;
    place(
        &export.path,
        |new| {
            write(graph.context.kinds, graph.store, export.output.artifact, &artifact, new, Sharing::Given)?;
            refuse_to_lose(&export.path, earlier.as_ref(), new, threads)
        },
        |new| {
            if fs::symlink_metadata(&export.path).is_ok() {
                remove(&export.path)?;
            }
            fs::rename(new, &export.path)
        },
    )?;
    remember(graph, export, name, digest)
}

/// Remembers how an output was left.
fn remember(graph: &Graph<'_>, export: &Export, name: Digest, digest: Digest) -> Result<(), Failure> {
    let world = World::new(None, graph.context.threads);
    if world.tree(&export.path).is_ok() {
        graph.store.put_world(name, world.into_trace(digest).encode())?;
    }
    Ok(())
}

/// The files at a path, with their digests; `None` where they cannot be read.
fn look(path: &Path, threads: usize) -> Option<BTreeMap<PathBuf, Digest>> {
    let world = World::new(None, threads);
    world.tree(path).ok()?;
    Some(left(&world.into_trace(Digest::of(&[]))))
}

/// The files of a trace, with their digests.
fn left(trace: &Trace) -> BTreeMap<PathBuf, Digest> {
    trace.files().map(|(digest, file)| (file.path, digest)).collect()
}

/// Refuses when something at `path` is neither as it was left before nor as it is to be left now.
fn refuse_to_lose(path: &Path, earlier: Option<&Trace>, new: &Path, threads: usize) -> Result<(), Failure> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    let in_the_way = |file: &Path, what: &str| {
        Failure::new("pipe::in_the_way", format!("{} {what}", file.display()))
            .help("move it away, or export to another place")
    };
    if there.is_symlink() {
        return Err(in_the_way(path, "is a link"));
    }
    let left = earlier.map(left).unwrap_or_default();
    let wanted = look(new, threads).unwrap_or_default();
    let at_new = |file: &Path| match file.strip_prefix(path) {
        Ok(rest) if rest.as_os_str().is_empty() => new.to_owned(),
        Ok(rest) => new.join(rest),
        Err(_) => file.to_owned(),
    };
    let Some(found) = look(path, threads) else { return Err(in_the_way(path, "cannot be read")) };
    for (file, digest) in found {
        if left.get(&file) == Some(&digest) || wanted.get(&at_new(&file)) == Some(&digest) {
            continue;
        }
        let what = if left.contains_key(&file) { "was changed since pipe wrote it" } else { "was not written by pipe" };
        return Err(in_the_way(&file, &format!("is there already and {what}")));
    }
    Ok(())
}

/// Writes beside `to` and then puts it there, so that it is whole when it is seen.
fn place(
    to: &Path,
    write: impl FnOnce(&Path) -> Result<(), Failure>,
    put: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), Failure> {
    let refused = |error: io::Error| {
        Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()))
            .help("see that the folder may be written and the disk has room")
    };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(refused)?;
    let new = tempfile::Builder::new().prefix(".pipe-").tempdir_in(folder).map_err(refused)?;
    let inside = new.path().join("new");
    write(&inside)?;
    put(&inside).map_err(refused)
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// What an artifact is called as a file or a folder.
pub(crate) fn default_name(artifact_type: ArtifactType, artifact: &Artifact, stem: &str) -> String {
    match artifact_type {
        ArtifactType::Records | ArtifactType::Predictions => format!("{stem}.csv"),
        ArtifactType::Metrics | ArtifactType::Report => format!("{stem}.json"),
        ArtifactType::Features => format!("{stem}.safetensors"),
        ArtifactType::Values => format!("{stem}.jsonl"),
        ArtifactType::Images | ArtifactType::Model => stem.to_owned(),
        ArtifactType::Files => match artifact {
            Artifact::Files(files) if files.files.len() == 1 => {
                let name = files.files.keys().next().and_then(|path| path.rsplit('/').next());
                name.unwrap_or(stem).to_owned()
            }
            _ => stem.to_owned(),
        },
    }
}

/// Files of so many bytes are linked rather than copied, where they cannot be reflinked.
const LINKED_FROM: u64 = 64 << 20;

/// How the bytes of a blob are shared with a file outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// With a person: a file of its own where the file system can share bytes, a read-only link
    /// otherwise.
    Given,
    /// With a command, for a moment: a read-only link.
    Lent,
}

/// Writes an artifact as the file `to`, or into a new folder of that name.
///
/// Tables become csv, metrics json, a model a folder with `model.json` and its weights. A single
/// file stays a file.
pub(crate) fn write(
    kinds: &Kinds,
    store: &Store,
    artifact_type: ArtifactType,
    artifact: &Artifact,
    to: &Path,
    sharing: Sharing,
) -> Result<(), Failure> {
    let refused = |error: io::Error| Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()));
    if let Some(writer) = kinds.writer_of(artifact_type) {
        return writer(artifact, store, to);
    }
    match (artifact_type, artifact) {
        (ArtifactType::Model, Artifact::Document(document)) => {
            fs::create_dir_all(to).map_err(refused)?;
            fs::write(to.join("model.json"), format!("{:#}\n", document.json)).map_err(refused)?;
            for (name, &part) in &document.parts {
                write_blob(store, part, &to.join(format!("{name}.safetensors")), sharing)?;
            }
            Ok(())
        }
        (_, Artifact::Files(Files { files })) => {
            if let (1, Some(&only)) = (files.len(), files.values().next()) {
                return write_blob(store, only, to, sharing);
            }
            fs::create_dir_all(to).map_err(refused)?;
            files.iter().try_for_each(|(path, &digest)| {
                let to = to.join(path);
                fs::create_dir_all(to.parent().unwrap_or(&to)).map_err(refused)?;
                write_blob(store, digest, &to, sharing)
            })
        }
        (ArtifactType::Records | ArtifactType::Predictions, artifact) => {
            let table = table(artifact).and_then(|table| table.to_csv());
            let table = table.ok_or_else(|| Failure::new("pipe::export", "the artifact holds no table"))?;
            fs::write(to, table).map_err(refused)
        }
        (_, Artifact::Document(document)) => fs::write(to, format!("{:#}\n", document.json)).map_err(refused),
        (artifact_type, _) => Err(Failure::new("pipe::export", format!("{artifact_type} cannot be written as files"))),
    }
}

/// Puts a blob at `to`: shares its bytes where the file system can, and copies it otherwise. What
/// is given to a person is linked only where a copy would cost much: a link that is written to, as
/// root may, changes the blob.
fn write_blob(store: &Store, digest: Digest, to: &Path, sharing: Sharing) -> Result<(), Failure> {
    let refused = |error: io::Error| Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()));
    let blob = store.path_of(digest).ok_or_else(|| Failure::lost("a file"))?;
    let shared = match sharing {
        Sharing::Given => reflink_copy::reflink(&blob, to).or_else(|error| {
            let large = fs::metadata(&blob)?.len() >= LINKED_FROM;
            if large { fs::hard_link(&blob, to) } else { Err(error) }
        }),
        Sharing::Lent => fs::hard_link(&blob, to),
    };
    shared.or_else(|_| copy(&blob, to)).map_err(refused)
}

/// A copy that may be written to, unlike the blob.
fn copy(blob: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut fs::File::open(blob)?, &mut fs::File::create(to)?).map(drop)
}
