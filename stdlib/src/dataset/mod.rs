//! Where the items come from.

mod csv;
mod draw;
mod folder;
mod synthetic;

pub use csv::{Csv, Identity};
pub use folder::Folder;
pub use synthetic::Synthetic;
