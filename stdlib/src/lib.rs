//! The standard library of nodes, a folder a family.
//!
//! Each kind is its params struct: doc comments document it, and an implementation of the
//! engine's traits says what it does.

mod compare;
mod dataset;
mod device;
mod eval;
mod features;
mod preprocess;
mod process;
mod split;
mod train;

pub use eval::metrics;
use pipe_core::Kinds;
use pipe_spec::{ArtifactType, ShapeError};

/// Every kind of the standard library.
///
/// # Errors
/// When a params struct has a type that the language does not know: a mistake in this crate.
pub fn kinds() -> Result<Kinds, ShapeError> {
    let mut kinds = Kinds::default();
    kinds.source::<dataset::csv::Csv>()?;
    kinds.source::<dataset::folder::Folder>()?;
    kinds.whole::<dataset::synthetic::Synthetic>()?;
    kinds.whole::<split::hash::HashSplit>()?;
    kinds.map::<preprocess::image::PreprocessImage>()?;
    kinds.map::<features::backbone::BackboneFeatures>()?;
    kinds.whole::<train::head::TrainHead>()?;
    kinds.whole::<eval::classifier::EvalClassifier>()?;
    kinds.whole::<compare::metrics::CompareMetrics>()?;
    kinds.whole::<process::shell::Shell>()?;
    kinds.map::<process::map::ProcessMap>()?;
    kinds.map::<process::map::ProcessFeatures>()?;
    kinds.map::<process::map::ProcessImages>()?;
    kinds.writer(ArtifactType::Images, preprocess::files::write);
    kinds.writer(ArtifactType::Features, features::files::write);
    kinds.writer(ArtifactType::Values, process::files::write);
    Ok(kinds)
}
