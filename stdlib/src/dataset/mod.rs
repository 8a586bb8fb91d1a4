//! Where the items come from.

pub(crate) mod csv;
mod draw;
pub(crate) mod folder;
pub(crate) mod synthetic;
