//! What may be wrong with the data.

mod labels;

pub use labels::{AuditLabels, Suspect, suspects};
