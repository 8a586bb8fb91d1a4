//! Images as ordinary files: a PNG each, named after its row.

use std::fs;
use std::path::Path;

use image::{ExtendedColorType, ImageFormat, save_buffer_with_format};
use pipe_core::{Artifact, Failure};
use pipe_store::Store;

use super::Pixels;

/// Writes a collection of images into a new folder.
pub(crate) fn write(artifact: &Artifact, store: &Store, to: &Path) -> Result<(), Failure> {
    let Artifact::Collection(images) = artifact else {
        return Err(Failure::new("pipe::internal", "images are a collection"));
    };
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::new("pipe::export", format!("cannot write {}: {error}", path.display()))
    };
    let image = |at: usize, item: Vec<u8>| {
        let row = &images.records.rows[at];
        let pixels = Pixels::decode(&item).ok_or_else(|| Failure::lost(format!("the stored item of `{}`", row.id)))?;
        let path = to.join(&row.id).with_extension("png");
        fs::create_dir_all(path.parent().unwrap_or(to)).map_err(|error| failed(&path, &error))?;
        let (width, height) = (pixels.width as u32, pixels.height as u32);
        save_buffer_with_format(&path, &pixels.rgb, width, height, ExtendedColorType::Rgb8, ImageFormat::Png)
            .map_err(|error| failed(&path, &error))
    };
    images.map_items(store, 1, image)?.into_iter().collect()
}
