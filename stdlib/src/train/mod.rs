//! From features to a model.

pub(crate) mod head;
mod model;

pub(crate) use model::read_head;
