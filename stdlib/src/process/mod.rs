//! Commands of the author's own: run once on whole artifacts, or kept running and given items.

mod command;
pub(crate) mod files;
mod guard;
mod map;
mod shell;
mod worker;
mod workshop;

pub use map::{Process, ProcessFeatures, ProcessImages, ProcessMap};
pub use shell::Shell;
