//! Commands of the author's own: run once on whole artifacts, or kept running and given items.

mod command;
pub(crate) mod files;
mod guard;
pub(crate) mod map;
pub(crate) mod shell;
mod worker;
