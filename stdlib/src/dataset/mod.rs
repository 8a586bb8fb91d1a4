//! Where the items come from.

pub(crate) mod csv;
mod draw;
mod fingerprint;
pub(crate) mod folder;
pub(crate) mod synthetic;
