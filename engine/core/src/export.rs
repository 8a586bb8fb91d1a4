//! Artifacts as ordinary files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pipe_lang::Export;
use pipe_spec::ArtifactType;
use pipe_store::{Digest, Store};
use pipe_world::{Trace, World};

use crate::artifacts::Artifacts;
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
    let artifacts = Artifacts::new(context.store);
    let artifact = artifacts.get(digest).ok_or_else(|| Failure::lost("the artifact"))?;
    let to = to.map_or_else(|| PathBuf::from(default_name(artifact_type, &artifact, stem)), Path::to_owned);
    if fs::symlink_metadata(&to).is_ok() {
        let message = format!("{} is there already", to.display());
        return Err(Failure::new("pipe::in_the_way", message).help("move it away, or name another place"));
    }
    let written = |new: &Path| write(context.kinds, context.store, artifact_type, &artifact, new, Sharing::Given);
    place(&to, written, |new| fs::rename(new, &to))?;
    Ok(to)
}

/// Leaves a node's output where its `export` says, unless that is there as it was left.
pub(crate) fn leave(graph: &Graph<'_>, export: &Export, result: &NodeResult) -> Result<(), Failure> {
    let Some(&digest) = result.outputs.get(export.output.name) else { return Ok(()) };
    let name = Digest::of(format!("export to {}", export.path.display()).as_bytes());
    let earlier = graph.store.world(name).and_then(|bytes| Trace::decode(&bytes));
    let threads = graph.context.threads;
    if earlier.as_ref().is_some_and(|trace| trace.result == digest && trace.holds(threads)) {
        return Ok(());
    }
    let artifact = graph.artifacts.get(digest).ok_or_else(|| Failure::lost("an output that is to be exported"))?;
    let look = |path: &Path| {
        let world = World::new(None, threads);
        let tree = world.tree(path).ok();
        (world, tree)
    };
    place(
        &export.path,
        |new| write(graph.context.kinds, graph.store, export.output.artifact, &artifact, new, Sharing::Given),
        |new| {
            if fs::symlink_metadata(&export.path).is_err() {
                return fs::rename(new, &export.path);
            }
            if earlier.is_none() && look(new).1 != look(&export.path).1 {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            remove(&export.path)?;
            fs::rename(new, &export.path)
        },
    )?;
    let (world, _) = look(&export.path);
    // Without it the output is left again the next time.
    let _ = graph.store.put_world(name, world.into_trace(digest).encode());
    Ok(())
}

/// Writes beside `to` and then puts it there, so that it is whole when it is seen.
fn place(
    to: &Path,
    write: impl FnOnce(&Path) -> Result<(), Failure>,
    put: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), Failure> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new("pipe::in_the_way", format!("{} is there already and was not written by pipe", to.display()))
                .help("move it away, or export to another place")
        }
        _ => Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()))
            .help("see that the folder may be written and the disk has room"),
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

/// Puts a blob at `to`: shares its bytes where the file system can, and copies it otherwise.
fn write_blob(store: &Store, digest: Digest, to: &Path, sharing: Sharing) -> Result<(), Failure> {
    let refused = |error: io::Error| Failure::new("pipe::export", format!("cannot write {}: {error}", to.display()));
    let blob = store.path_of(digest).ok_or_else(|| Failure::lost("a file"))?;
    let shared = match sharing {
        Sharing::Given => reflink_copy::reflink(&blob, to).or_else(|_| fs::hard_link(&blob, to)),
        Sharing::Lent => fs::hard_link(&blob, to),
    };
    shared.or_else(|_| fs::copy(&blob, to).map(drop)).map_err(refused)
}
