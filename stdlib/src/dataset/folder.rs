//! `dataset.folder`.

use std::path::{Path, PathBuf};

use pipe_core::{Failure, ItemFailure, Kind, Record, Records, Source};
use pipe_spec::{FolderPath, types};
use pipe_world::{Absent, Identity, World};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files with these endings are taken, whatever their case.
const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// Reads a folder that holds a folder of images for each class.
///
/// Images are the files that end in .jpg, .jpeg, .png, .webp, .gif, .bmp, .tif or .tiff. A row's
/// label is the name of its class's folder, its id the path inside `path`, such as `cat/001.jpg`.
/// Images in folders further down belong to the class at the top; other files and names that begin
/// with a dot are passed over.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The folder with the classes' folders.
    pub path: FolderPath,
}

impl Kind for Folder {
    const NAME: &'static str = "dataset.folder";
    const VERSION: u32 = 1;
    type Inputs = ();
    type Outputs = types::Records;
    const OUTPUTS: &'static [&'static str] = &["records"];
}

impl Source for Folder {
    fn read(&self, world: &World) -> Result<Records, Failure> {
        let root = self.path.path();
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        let classes: Vec<PathBuf> = list(world, root)?.into_iter().filter(|path| path.is_dir()).collect();
        if classes.is_empty() {
            return Err(Failure::new("pipe::data", format!("{} has no folders", root.display()))
                .param("path")
                .help("put the images of each class into a folder of their own, named after the class"));
        }
        for class in &classes {
            let label = name(class);
            let before = found.len();
            images(world, class, &mut |path| found.push((label.clone(), path)))?;
            if found.len() == before {
                return Err(Failure::new("pipe::data", format!("the class `{label}` has no images"))
                    .param("path")
                    .help(format!("put images into {} or remove the folder", class.display())));
            }
        }
        let digests = world.find(found.len(), Identity::Content, |at| [found[at].1.clone()]);
        let (mut rows, mut broken) = (Vec::new(), Vec::new());
        for ((value, path), digest) in found.into_iter().zip(digests) {
            let id = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            match digest {
                Ok(digest) => rows.push(Record { id, value, split: None, content: Some(digest) }),
                Err(Absent::Unreadable(reason)) => broken.push(ItemFailure { id, reason }),
                Err(_) => broken.push(ItemFailure { id, reason: "not a file".to_owned() }),
            }
        }
        if broken.is_empty() {
            return Ok(Records::new(rows));
        }
        Err(Failure::items(format!("{} files cannot be read", broken.len()), broken).param("path"))
    }
}

fn images(world: &World, folder: &Path, take: &mut impl FnMut(PathBuf)) -> Result<(), Failure> {
    for path in list(world, folder)? {
        if path.is_dir() {
            images(world, &path, take)?;
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
        {
            take(path);
        }
    }
    Ok(())
}

/// What lies in a folder, sorted by name, hidden names left out.
fn list(world: &World, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable =
        |error| Failure::new("pipe::data", format!("cannot list {}: {error}", folder.display())).param("path");
    let mut paths = world.list(folder).map_err(unreadable)?;
    paths.retain(|path| !name(path).starts_with('.'));
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
