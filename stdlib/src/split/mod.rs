//! Which items a model learns from, and which it is judged by.

pub(crate) mod hash;
