//! The standard library of nodes, a folder a family.
//!
//! Each kind is its params struct: doc comments document it, and an implementation of the
//! engine's traits says what it does.

pub mod audit;
pub mod compare;
pub mod dataset;
mod device;
pub mod eval;
pub mod features;
pub mod preprocess;
pub mod process;
pub mod split;
pub mod train;
mod watches;

use pipe_core::Kinds;
use pipe_spec::{ArtifactType, ShapeError};

/// Every kind of the standard library, and the pipelines that others may use.
///
/// # Errors
/// When a params struct has a type that the language does not know: a mistake in this crate.
pub fn kinds() -> Result<Kinds, ShapeError> {
    let mut kinds = Kinds::default();
    kinds.source::<dataset::Csv>()?;
    kinds.source::<dataset::Folder>()?;
    kinds.whole::<dataset::Synthetic>()?;
    kinds.whole::<split::HashSplit>()?;
    kinds.map::<preprocess::PreprocessImage>()?;
    kinds.map::<features::BackboneFeatures>()?;
    kinds.whole::<train::TrainHead>()?;
    kinds.whole::<train::Finetune>()?;
    kinds.whole::<eval::EvalClassifier>()?;
    kinds.whole::<compare::CompareMetrics>()?;
    kinds.whole::<audit::AuditLabels>()?;
    kinds.whole::<process::Shell>()?;
    kinds.map::<process::ProcessMap>()?;
    kinds.map::<process::ProcessFeatures>()?;
    kinds.map::<process::ProcessImages>()?;
    kinds.writer(ArtifactType::Images, preprocess::files::write);
    kinds.writer(ArtifactType::Features, features::files::write);
    kinds.writer(ArtifactType::Values, process::files::write);
    kinds.pipeline("stdlib/transfer", include_str!("../pipelines/transfer.yaml"));
    kinds.pipeline("stdlib/audit", include_str!("../pipelines/audit.yaml"));
    kinds.models(features::models);
    kinds.checks(device::CHECKS);
    Ok(kinds)
}
